//! A router that remembers its routes, so that a test can ask for all of them.

use crate::Api;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

/// Routes, by path and method.
#[derive(Default)]
pub(crate) struct Table {
    router: Router<Api>,
    #[cfg_attr(not(test), allow(dead_code, reason = "only a test asks for them"))]
    names: Vec<(&'static str, &'static str)>,
}

impl Table {
    fn add(mut self, method: &'static str, path: &'static str, to: MethodRouter<Api>) -> Self {
        self.names.push((method, path));
        self.router = self.router.route(path, to);
        self
    }

    pub(crate) fn get<H: Handler<T, Api>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("GET", path, get(to))
    }

    pub(crate) fn post<H: Handler<T, Api>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("POST", path, post(to))
    }

    pub(crate) fn put<H: Handler<T, Api>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("PUT", path, put(to))
    }

    pub(crate) fn patch<H: Handler<T, Api>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("PATCH", path, patch(to))
    }

    pub(crate) fn delete<H: Handler<T, Api>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("DELETE", path, delete(to))
    }

    /// The router.
    pub(crate) fn into_router(self) -> Router<Api> {
        self.router
    }

    /// Methods and paths.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.names.iter().copied()
    }
}
