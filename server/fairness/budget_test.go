package fairness

import "testing"

// fill takes places for flow until there is none left, and returns how many.
func fill(b *budget, flow string) int {
	n := 0
	for n < 1000 && b.take(flow) {
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
		b.give("greedy")
	}
	if got := fill(b, "second"); got+15 != 30 {
		t.Errorf("the second flow has %d places once the first is gone, want 30", got+15)
	}
	for i := range 20 {
		if !b.take(string(rune('a' + i))) {
			t.Errorf("newcomer %d finds no place", i)
		}
	}
}

func TestBudget_KeepsNothing(t *testing.T) {
	b := newBudget(4)
	for _, flow := range []string{"one", "two"} {
		for range fill(b, flow) {
			b.give(flow)
		}
	}
	if len(b.flows) != 0 || b.used != 0 {
		t.Errorf("%d flows with %d places are kept, want none", len(b.flows), b.used)
	}
}

func TestBudget_OfNothingHasNoBound(t *testing.T) {
	if got := fill(newBudget(0), "any"); got != 1000 {
		t.Errorf("%d places, want no bound", got)
	}
}
