//! Walks parsed templates and collects what they use, with places.
//!
//! Includes are walked where they stand, so that a partial sees what its
//! includer has set. Scopes follow the engine: loops, macros, `with` and blocks
//! open one; `if` does not, and a name set in one branch counts as set after
//! it, because which branch runs is not known here.

use minijinja::machinery::ast::{self, CallArg, Expr, Spanned, Stmt};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most bytes of templates walked for one prompt, repeated includes counted each
/// time: partials that include each other twice would otherwise multiply.
const MAX_WALKED_BYTES: usize = 8 * 1024 * 1024;
/// Deepest chain of includes walked; the engine stops earlier.
const MAX_INCLUDES: usize = 16;
/// Deepest nesting of tags walked, over all templates of a chain. More than the
/// parser allows in one template.
const MAX_DEPTH: usize = 200;

/// What a name is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Read as a variable.
    Variable,
    /// Called as a function.
    Function,
    /// `value | name`.
    Filter,
    /// `value is name`.
    Test,
    /// `include`, `import` or `extends` of a partial.
    Partial,
    /// An include that includes itself.
    Cycle,
}

/// One use of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    /// Index of the template in the list given to [`walk`].
    pub(super) template: usize,
    /// Where in its text.
    pub(super) range: (usize, usize),
    pub(super) role: Role,
    pub(super) name: String,
}

/// Everything a set of templates uses and nobody in it defines.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) uses: BTreeSet<Use>,
    /// Names asked for with `is defined` or `default` somewhere.
    pub(super) guarded: BTreeSet<String>,
    /// Names set by a template: candidates for a suggestion.
    pub(super) assigned: BTreeSet<String>,
}

/// A parsed template.
pub(super) struct Parsed<'a> {
    pub(super) text: &'a str,
    pub(super) tree: Stmt<'a>,
}

/// Walks the templates at `roots`; `partials` says which name is which index.
pub(super) fn walk(
    templates: &[Parsed<'_>],
    roots: &[usize],
    partials: &BTreeMap<&str, usize>,
) -> Uses {
    let mut walker = Walker {
        templates,
        partials,
        found: Uses::default(),
        scopes: vec![BTreeSet::new()],
        stack: Vec::new(),
        walked: 0,
        depth: 0,
    };
    for root in roots {
        walker.scopes = vec![BTreeSet::new()];
        walker.template(*root);
    }
    walker.found
}

struct Walker<'t, 's> {
    templates: &'t [Parsed<'s>],
    partials: &'t BTreeMap<&'t str, usize>,
    found: Uses,
    scopes: Vec<BTreeSet<String>>,
    /// Templates being walked, outermost first.
    stack: Vec<usize>,
    /// Bytes walked so far.
    walked: usize,
    /// Tags round the current place.
    depth: usize,
}

impl Walker<'_, '_> {
    fn template(&mut self, index: usize) {
        let templates = self.templates;
        let Some(parsed) = templates.get(index) else { return };
        self.walked = self.walked.saturating_add(parsed.text.len()).saturating_add(1);
        if self.walked > MAX_WALKED_BYTES || self.stack.len() >= MAX_INCLUDES {
            return;
        }
        self.stack.push(index);
        self.statement(&parsed.tree);
        self.stack.pop();
    }

    fn used(&mut self, role: Role, name: &str, range: Range<usize>) {
        let template = self.stack.last().copied().unwrap_or(0);
        let range = (range.start, range.end);
        self.found.uses.insert(Use { template, range, role, name: name.to_owned() });
    }

    /// Where in the current template a name that borrows from its text stands.
    fn range_of(&self, name: &str) -> Range<usize> {
        let text = self.stack.last().and_then(|i| self.templates.get(*i)).map_or("", |p| p.text);
        // The parser's names are slices of the text, so their addresses tell.
        let start = (name.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        match start.checked_add(name.len()) {
            Some(end) if end <= text.len() => start..end,
            _ => 0..0,
        }
    }

    fn is_set(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }

    fn set(&mut self, name: &str) {
        self.found.assigned.insert(name.to_owned());
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned());
        }
    }

    fn set_target(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(var) => self.set(var.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.set_target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.set_target(item)),
            // `{% set ns.x = … %}` reads `ns`.
            other => self.expression(other),
        }
    }

    fn scoped(&mut self, walk: impl FnOnce(&mut Self)) {
        self.scopes.push(BTreeSet::new());
        walk(self);
        self.scopes.pop();
    }

    fn statements(&mut self, body: &[Stmt<'_>]) {
        body.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            self.enter_statement(statement);
            self.depth -= 1;
        }
    }

    fn enter_statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(node) => self.statements(&node.children),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(node) => self.expression(&node.expr),
            Stmt::ForLoop(node) => self.for_loop(node),
            Stmt::IfCond(node) => {
                self.expression(&node.expr);
                self.statements(&node.true_body);
                self.statements(&node.false_body);
            }
            Stmt::WithBlock(node) => self.scoped(|this| {
                for (target, value) in &node.assignments {
                    this.expression(value);
                    this.set_target(target);
                }
                this.statements(&node.body);
            }),
            Stmt::Set(node) => {
                self.expression(&node.expr);
                self.set_target(&node.target);
            }
            Stmt::SetBlock(node) => {
                self.statements(&node.body);
                node.filter.iter().for_each(|filter| self.expression(filter));
                self.set_target(&node.target);
            }
            Stmt::AutoEscape(node) => {
                self.expression(&node.enabled);
                self.statements(&node.body);
            }
            Stmt::FilterBlock(node) => {
                self.expression(&node.filter);
                self.statements(&node.body);
            }
            Stmt::Block(node) => self.scoped(|this| {
                this.set("super");
                this.statements(&node.body);
            }),
            Stmt::Import(node) => {
                self.partial(&node.expr, Taken::Imported);
                self.set_target(&node.name);
            }
            Stmt::FromImport(node) => {
                self.partial(&node.expr, Taken::Imported);
                for (name, alias) in &node.names {
                    self.set_target(alias.as_ref().unwrap_or(name));
                }
            }
            Stmt::Extends(node) => self.partial(&node.name, Taken::Included),
            Stmt::Include(node) => {
                let taken = if node.ignore_missing { Taken::IfThere } else { Taken::Included };
                self.partial(&node.name, taken);
            }
            Stmt::Macro(node) => {
                self.set(node.name);
                self.scoped(|this| this.macro_body(node));
            }
            Stmt::CallBlock(node) => {
                self.call(&node.call);
                self.scoped(|this| this.macro_body(&node.macro_decl));
            }
            Stmt::Do(node) => self.call(&node.call),
        }
    }

    fn for_loop(&mut self, node: &ast::ForLoop<'_>) {
        self.expression(&node.iter);
        self.scoped(|this| {
            this.set("loop");
            this.set_target(&node.target);
            node.filter_expr.iter().for_each(|filter| this.expression(filter));
            this.statements(&node.body);
        });
        self.scoped(|this| this.statements(&node.else_body));
    }

    fn macro_body(&mut self, node: &ast::Macro<'_>) {
        node.defaults.iter().for_each(|default| self.expression(default));
        self.set("caller");
        node.args.iter().for_each(|arg| self.set_target(arg));
        self.statements(&node.body);
    }

    fn partial(&mut self, name: &Expr<'_>, taken: Taken) {
        self.expression(name);
        let Expr::Const(constant) = name else {
            // A computed name may be any partial's.
            let all: Vec<usize> = self.partials.values().copied().collect();
            all.into_iter().for_each(|index| self.enter(index, taken));
            return;
        };
        let span = constant.span();
        let range = span.start_offset as usize..span.end_offset as usize;
        let names: Vec<String> = match constant.value.as_str() {
            Some(one) => vec![one.to_owned()],
            None => constant
                .value
                .try_iter()
                .map(|items| items.filter_map(|v| v.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
        };
        let known = names.iter().find_map(|name| self.partials.get(name.as_str()).copied());
        match (known, names.first()) {
            (Some(index), Some(first)) if self.stack.contains(&index) => {
                self.used(Role::Cycle, first, range);
            }
            (Some(index), _) => self.enter(index, taken),
            (None, Some(first)) if taken != Taken::IfThere => {
                self.used(Role::Partial, first, range);
            }
            _ => {}
        }
    }

    fn enter(&mut self, index: usize, taken: Taken) {
        if self.stack.contains(&index) {
            return;
        }
        if taken == Taken::Imported {
            // An imported template does not see the importer's names.
            let outer = std::mem::replace(&mut self.scopes, vec![BTreeSet::new()]);
            self.template(index);
            self.scopes = outer;
        } else {
            self.scoped(|this| this.template(index));
        }
    }

    fn call(&mut self, call: &Spanned<ast::Call<'_>>) {
        match &call.expr {
            Expr::Var(var) if !self.is_set(var.id) => {
                self.used(Role::Function, var.id, self.range_of(var.id));
            }
            Expr::GetAttr(attr) if matches!(&attr.expr, Expr::Var(v) if v.id == "self") => {}
            other => self.expression(other),
        }
        self.arguments(&call.args);
    }

    fn arguments(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(e)
                | CallArg::Kwarg(_, e)
                | CallArg::PosSplat(e)
                | CallArg::KwargSplat(e) => {
                    self.expression(e);
                }
            }
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Const(_) => {}
            Expr::Var(var) => {
                if !self.is_set(var.id) {
                    self.used(Role::Variable, var.id, self.range_of(var.id));
                }
            }
            Expr::Slice(node) => {
                self.expression(&node.expr);
                for part in [&node.start, &node.stop, &node.step].into_iter().flatten() {
                    self.expression(part);
                }
            }
            Expr::UnaryOp(node) => self.expression(&node.expr),
            Expr::BinOp(node) => {
                self.expression(&node.left);
                self.expression(&node.right);
            }
            Expr::Compare(node) => {
                self.expression(&node.expr);
                node.ops.iter().for_each(|op| self.expression(&op.expr));
            }
            Expr::IfExpr(node) => {
                self.expression(&node.test_expr);
                self.expression(&node.true_expr);
                node.false_expr.iter().for_each(|e| self.expression(e));
            }
            Expr::Filter(node) => {
                if let (Some(Expr::Var(var)), "default" | "d") = (&node.expr, node.name) {
                    self.found.guarded.insert(var.id.to_owned());
                }
                node.expr.iter().for_each(|e| self.expression(e));
                self.used(Role::Filter, node.name, self.range_of(node.name));
                self.arguments(&node.args);
            }
            Expr::Test(node) => {
                if let (Expr::Var(var), "defined" | "undefined") = (&node.expr, node.name) {
                    self.found.guarded.insert(var.id.to_owned());
                }
                self.expression(&node.expr);
                self.used(Role::Test, node.name, self.range_of(node.name));
                self.arguments(&node.args);
            }
            Expr::GetAttr(node) => self.expression(&node.expr),
            Expr::GetItem(node) => {
                self.expression(&node.expr);
                self.expression(&node.subscript_expr);
            }
            Expr::Call(node) => self.call(node),
            Expr::List(node) => node.items.iter().for_each(|e| self.expression(e)),
            Expr::Tuple(node) => node.items.iter().for_each(|e| self.expression(e)),
            Expr::Map(node) => {
                node.keys.iter().chain(&node.values).for_each(|e| self.expression(e));
            }
        }
    }
}

/// How a partial is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Included,
    /// `ignore missing`.
    IfThere,
    Imported,
}
