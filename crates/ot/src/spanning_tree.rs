//! The spanning tree of a basic solution, for the network simplex.
//!
//! Nodes are the sources, then the targets, then one artificial root. Every node but the root holds the arc to its
//! parent: its cost, the flow on it, and whether it points up. Arcs outside the tree carry nothing and are not stored.
//! The tree is kept *strongly feasible* (Cunningham 1976): an arc without flow points up, so every node could send
//! more mass to the root. With the matching choice of the leaving arc no basis occurs twice, ties and zero weights
//! included.

const NONE: usize = usize::MAX;

/// A rooted tree over `sources + targets + 1` nodes with flows and potentials.
pub(crate) struct Tree {
    sources: usize,
    nodes: Vec<Node>,
    /// Potentials: on every tree arc between a source and a target the two add up to the arc's cost.
    duals: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Node {
    parent: usize,
    arc: Arc,
    depth: usize,
    first_child: usize,
    next_sibling: usize,
    previous_sibling: usize,
}

impl Node {
    /// Hangs on nothing yet.
    const LEAF: Self = Self {
        parent: NONE,
        arc: Arc { cost: 0.0, flow: 0.0, up: true },
        depth: 0,
        first_child: NONE,
        next_sibling: NONE,
        previous_sibling: NONE,
    };
}

/// The arc between a node and its parent.
#[derive(Clone, Copy)]
pub(crate) struct Arc {
    cost: f64,
    flow: f64,
    /// Whether the arc leads from the node to its parent.
    up: bool,
}

/// The arc that leaves the basis, named by the node below it, and how much the cycle can carry.
struct Blocking {
    node: usize,
    on_source_side: bool,
    flow: f64,
}

impl Tree {
    /// Every node hangs on the root by an artificial arc, which carries all of its weight.
    ///
    /// Only the arcs down to targets that want mass cost anything. These are the arcs that an optimal basis drops, so
    /// in the end no potential is the small difference of artificial costs.
    pub(crate) fn star(source_weights: &[f64], target_weights: &[f64], artificial_cost: f64) -> Self {
        let sources = source_weights.len();
        let root = sources + target_weights.len();
        let mut tree = Self { sources, nodes: vec![Node::LEAF; root + 1], duals: vec![0.0; root + 1] };
        for (node, &flow) in source_weights.iter().chain(target_weights).enumerate() {
            // A target that wants nothing still needs its empty arc to point up.
            let up = node < sources || flow == 0.0;
            let cost = if up { 0.0 } else { artificial_cost };
            tree.attach(node, root, Arc { cost, flow, up });
            tree.refresh(node);
        }
        tree
    }

    /// For unit weights: each source carries the mass of its pair, and an empty artificial arc ties it to the root.
    ///
    /// These arcs can never carry anything, as none leads out of the root, so they may cost what gives the sources the
    /// potentials `row_duals`.
    pub(crate) fn of_pairs(
        target_of: &[usize],
        row_duals: &[f64],
        cost: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let sources = target_of.len();
        let root = 2 * sources;
        let mut tree = Self { sources, nodes: vec![Node::LEAF; root + 1], duals: vec![0.0; root + 1] };
        for (source, (&target, &dual)) in target_of.iter().zip(row_duals).enumerate() {
            tree.attach(source, root, Arc { cost: dual, flow: 0.0, up: true });
            tree.attach(sources + target, source, Arc { cost: cost(source, target), flow: 1.0, up: false });
            tree.refresh(source);
        }
        tree
    }

    pub(crate) fn row_duals(&self) -> &[f64] {
        &self.duals[..self.sources]
    }

    pub(crate) fn col_duals(&self) -> &[f64] {
        &self.duals[self.sources..self.root()]
    }

    /// `(source, target, flow)` of every tree arc that is not artificial.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let below_the_root = (0..self.root()).filter(|&node| self.nodes[node].parent != self.root());
        below_the_root.map(|node| {
            let Node { parent, arc, .. } = self.nodes[node];
            (node.min(parent), node.max(parent) - self.sources, arc.flow)
        })
    }

    /// One pivot: the arc from `source` to `target` enters the basis, and the blocking arc of its cycle leaves.
    pub(crate) fn pivot(&mut self, source: usize, target: usize, cost: f64) {
        let ends = [source, self.sources + target];
        let apex = self.apex(ends);
        let leaving = self.blocking(ends, apex);
        self.push(ends, apex, leaving.flow);
        let entering = |up| Arc { cost, flow: leaving.flow, up };
        if leaving.on_source_side {
            self.rehang(ends[0], leaving.node, ends[1], entering(true));
        } else {
            self.rehang(ends[1], leaving.node, ends[0], entering(false));
        }
    }

    fn root(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The first common ancestor.
    fn apex(&self, [mut a, mut b]: [usize; 2]) -> usize {
        while a != b {
            if self.nodes[a].depth >= self.nodes[b].depth {
                a = self.nodes[a].parent;
            } else {
                b = self.nodes[b].parent;
            }
        }
        a
    }

    /// The last arc to run empty on the cycle apex → source → target → apex: this choice keeps the tree strongly
    /// feasible. Going up from the source meets its side in reverse order, hence `<` there and `≤` on the other.
    fn blocking(&self, [source, target]: [usize; 2], apex: usize) -> Blocking {
        let mut blocking = Blocking { node: NONE, on_source_side: true, flow: f64::INFINITY };
        for node in self.ancestors(source, apex) {
            let arc = self.nodes[node].arc;
            if arc.up && arc.flow < blocking.flow {
                blocking = Blocking { node, on_source_side: true, flow: arc.flow };
            }
        }
        for node in self.ancestors(target, apex) {
            let arc = self.nodes[node].arc;
            if !arc.up && arc.flow <= blocking.flow {
                blocking = Blocking { node, on_source_side: false, flow: arc.flow };
            }
        }
        debug_assert_ne!(blocking.node, NONE, "a cycle of a transport problem always has an arc to empty");
        blocking
    }

    /// The nodes from `node` up to but without `apex`.
    fn ancestors(&self, node: usize, apex: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |&node| Some(self.nodes[node].parent))
            .take_while(move |&node| node != apex)
    }

    /// Sends `flow` around the cycle. What the blocking arc carries is subtracted from itself, so it is exactly zero.
    fn push(&mut self, ends: [usize; 2], apex: usize, flow: f64) {
        if flow == 0.0 {
            return;
        }
        for (end, gains_when_up) in ends.into_iter().zip([false, true]) {
            let mut node = end;
            while node != apex {
                let Node { parent, arc, .. } = &mut self.nodes[node];
                arc.flow += if arc.up == gains_when_up { flow } else { -flow };
                node = *parent;
            }
        }
    }

    /// Cuts the arc above `cut`, an ancestor of `top` or `top` itself, makes `top` the highest node of the part cut
    /// off, and hangs it under `parent` by `arc`.
    fn rehang(&mut self, top: usize, cut: usize, parent: usize, arc: Arc) {
        let (mut node, mut parent, mut arc) = (top, parent, arc);
        loop {
            let old = self.nodes[node];
            self.detach(node);
            self.attach(node, parent, arc);
            if node == cut {
                break;
            }
            (parent, arc) = (node, Arc { up: !old.arc.up, ..old.arc });
            node = old.parent;
        }
        self.refresh(top);
    }

    fn attach(&mut self, node: usize, parent: usize, arc: Arc) {
        let next = self.nodes[parent].first_child;
        if next != NONE {
            self.nodes[next].previous_sibling = node;
        }
        self.nodes[parent].first_child = node;
        let child = &mut self.nodes[node];
        (child.parent, child.arc) = (parent, arc);
        (child.next_sibling, child.previous_sibling) = (next, NONE);
    }

    fn detach(&mut self, node: usize) {
        let Node { parent, next_sibling, previous_sibling, .. } = self.nodes[node];
        if previous_sibling == NONE {
            self.nodes[parent].first_child = next_sibling;
        } else {
            self.nodes[previous_sibling].next_sibling = next_sibling;
        }
        if next_sibling != NONE {
            self.nodes[next_sibling].previous_sibling = previous_sibling;
        }
    }

    /// Computes depths and potentials of a subtree anew, from the node above it. Each potential comes from its
    /// parent's and not from its own old value, so rounding errors do not pile up from pivot to pivot.
    fn refresh(&mut self, top: usize) {
        let mut node = top;
        loop {
            let Node { parent, arc, first_child, .. } = self.nodes[node];
            self.nodes[node].depth = self.nodes[parent].depth + 1;
            self.duals[node] = arc.cost - self.duals[parent];
            if first_child != NONE {
                node = first_child;
                continue;
            }
            while node != top && self.nodes[node].next_sibling == NONE {
                node = self.nodes[node].parent;
            }
            if node == top {
                return;
            }
            node = self.nodes[node].next_sibling;
        }
    }
}
