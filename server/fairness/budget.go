package fairness

import "sync"

// tenantFactor is how many times as many places as are free a tenant may have: the workspaces of a tenant that has a greedy one must
// find some, too.
const tenantFactor = 2

// budget shares at most max places among workspaces: a workspace gets another place while it has fewer places than are free, and its
// tenant fewer than tenantFactor times as many. So there is always room for the first few requests of each. One greedy workspace
// gets half of all places, and two greedy tenants get two fifths each. A workspace without rivals has no other limit. (Dynamic
// thresholds: Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.) Safe for many
// goroutines.
type budget struct {
	max int

	mu   sync.Mutex
	used int
	// workspaces and tenants are those that have places.
	workspaces, tenants map[string]int
}

func newBudget(limit int) *budget {
	return &budget{max: limit, workspaces: map[string]int{}, tenants: map[string]int{}}
}

// take takes a place; false if s may not have another one now. Call give to return the place. A budget of 0 has no limit.
func (b *budget) take(s share) bool { return b.takeSome(s, 1) }

// takeSome takes n places at once, or none.
func (b *budget) takeSome(s share, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if free := b.max - b.used; b.max > 0 && (b.workspaces[s.workspace]+n > free || b.tenants[s.tenant]+n > tenantFactor*free) {
		return false
	}
	b.used += n
	b.workspaces[s.workspace] += n
	b.tenants[s.tenant] += n
	return true
}

// give returns a place of s.
func (b *budget) give(s share) { b.giveSome(s, 1) }

// giveSome returns n places of s.
func (b *budget) giveSome(s share, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	less(b.workspaces, s.workspace, n)
	less(b.tenants, s.tenant, n)
}

func less(counts map[string]int, key string, n int) {
	if counts[key] -= n; counts[key] == 0 {
		delete(counts, key)
	}
}
