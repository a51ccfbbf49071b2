//! The numbers, as ratios to the floor.

use serde::Serialize;

/// Everything measured at one target.
pub struct Measured {
    name: String,
    latencies: Vec<f64>,
    cpu_micros: f64,
}

impl Measured {
    /// Nothing yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), latencies: Vec::new(), cpu_micros: 0.0 }
    }

    /// One more round.
    pub fn add(&mut self, latencies: Vec<f64>, cpu_micros: f64) {
        self.latencies.extend(latencies);
        self.cpu_micros += cpu_micros;
    }

    fn numbers(&self) -> Result<Numbers, String> {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let at = (q * (sorted.len().saturating_sub(1)) as f64).round() as usize;
            sorted.get(at).copied().ok_or_else(|| format!("`{}` answered nothing", self.name))
        };
        Ok(Numbers {
            requests: sorted.len(),
            cpu_us_per_request: self.cpu_micros / sorted.len().max(1) as f64,
            p50_us: quantile(0.50)?,
            p99_us: quantile(0.99)?,
        })
    }
}

/// One target's numbers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Numbers {
    requests: usize,
    cpu_us_per_request: f64,
    p50_us: f64,
    p99_us: f64,
}

/// The gateway against the floor.
#[derive(Debug, Serialize)]
pub struct Report {
    direct: Numbers,
    floor: Numbers,
    gateway: Numbers,
    /// CPU per request, gateway over floor.
    cpu_ratio: f64,
    /// Latency added over going direct, gateway over floor, at the median.
    added_p50_ratio: f64,
    /// The same at the 99th percentile.
    added_p99_ratio: f64,
}

impl Report {
    /// From the three targets.
    pub fn of(measured: &[Measured]) -> Result<Self, String> {
        let find = |name: &str| {
            measured
                .iter()
                .find(|m| m.name == name)
                .ok_or_else(|| format!("the plan has no target `{name}`"))?
                .numbers()
        };
        let (direct, floor, gateway) = (find("direct")?, find("floor")?, find("gateway")?);
        let added =
            |of: fn(&Numbers) -> f64| (of(&gateway) - of(&direct)) / (of(&floor) - of(&direct));
        Ok(Self {
            direct,
            floor,
            gateway,
            cpu_ratio: gateway.cpu_us_per_request / floor.cpu_us_per_request,
            added_p50_ratio: added(|n| n.p50_us),
            added_p99_ratio: added(|n| n.p99_us),
        })
    }

    /// For programs.
    pub fn print_json(&self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| e.to_string())?;
        println!("{text}");
        Ok(())
    }

    /// For people.
    pub fn print(&self) {
        println!(
            "{:10} {:>9} {:>16} {:>10} {:>10}",
            "", "requests", "CPU per request", "p50", "p99"
        );
        for (name, n) in [("direct", self.direct), ("floor", self.floor), ("gateway", self.gateway)]
        {
            // What the upstream spends is no business of this table.
            let cpu = if name == "direct" {
                "-".to_owned()
            } else {
                format!("{:.1} µs", n.cpu_us_per_request)
            };
            println!(
                "{name:10} {:>9} {cpu:>16} {:>7.0} µs {:>7.0} µs",
                n.requests, n.p50_us, n.p99_us
            );
        }
        println!();
        println!("gateway over floor: CPU per request {:.2}×", self.cpu_ratio);
        println!(
            "                    added latency {:.2}× at the median, {:.2}× at the 99th percentile",
            self.added_p50_ratio, self.added_p99_ratio
        );
    }
}
