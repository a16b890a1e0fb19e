package fairness

import "testing"

// fill takes places for flow until there is none left, and returns how many.
func fill(b *budget, flow string) int {
	n := 0
	for n < 1000 && b.take(own(flow)) {
		n++
	}
	return n
}

func TestBudget_SharesOutWhatIsThere(t *testing.T) {
	b := newBudget(60)
	if got := fill(b, "greedy"); got != 30 {
		t.Errorf("the first flow has %d of 60 places, want half", got)
	}
	if got := fill(b, "second"); got != 15 {
		t.Errorf("the second flow has %d places, want half of the 30 that were free", got)
	}
	for range 30 {
		b.give(own("greedy"))
	}
	if got := fill(b, "second"); got+15 != 30 {
		t.Errorf("the second flow has %d places once the first is gone, want 30", got+15)
	}
	for i := range 20 {
		if !b.take(own(string(rune('a' + i)))) {
			t.Errorf("newcomer %d finds no place", i)
		}
	}
}

func TestBudget_WorkspacesOfATenantShareItsPart(t *testing.T) {
	b := newBudget(60)
	places := 0
	for i := range 40 {
		for b.take(share{tenant: "greedy", workspace: string(rune('a' + i))}) {
			places++
		}
	}
	if places != 40 {
		t.Errorf("40 workspaces of one tenant have %d of 60 places, want two thirds", places)
	}
	if got := fill(b, "quiet"); got != 10 {
		t.Errorf("another tenant has %d places, want half of the 20 that were free", got)
	}
	// A greedy workspace leaves something to those beside it.
	b = newBudget(60)
	for b.take(share{tenant: "t", workspace: "greedy"}) {
	}
	if !b.take(share{tenant: "t", workspace: "quiet"}) {
		t.Error("the workspace beside a greedy one finds no place")
	}
}

func TestBudget_KeepsNothing(t *testing.T) {
	b := newBudget(4)
	for _, flow := range []string{"one", "two"} {
		for range fill(b, flow) {
			b.give(own(flow))
		}
	}
	if len(b.workspaces)+len(b.tenants) != 0 || b.used != 0 {
		t.Errorf("%d flows with %d places are kept, want none", len(b.workspaces), b.used)
	}
}

func TestBudget_OfNothingHasNoBound(t *testing.T) {
	if got := fill(newBudget(0), "any"); got != 1000 {
		t.Errorf("%d places, want no bound", got)
	}
}
