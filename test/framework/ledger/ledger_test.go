package ledger

import (
	"slices"
	"testing"
)

// wrote returns the ledger of a client whose writes of 1 and 2 were acknowledged, and that heard nothing of 3.
func wrote() *Ledger {
	l := &Ledger{}
	for value := 1; value <= 2; value++ {
		l.Try("x", value)
		l.Acknowledge("x", value)
	}
	l.Try("x", 3)
	return l
}

func TestLedger_Read(t *testing.T) {
	for name, test := range map[string]struct {
		reads []int
		fine  bool
	}{
		"the last that was acknowledged":           {[]int{2}, true},
		"one without an answer":                    {[]int{3}, true},
		"one without an answer, later":             {[]int{2, 3, 3}, true},
		"an older one":                             {[]int{1}, false},
		"nothing":                                  {[]int{0}, false},
		"one that nobody wrote":                    {[]int{4}, false},
		"one without an answer, and then an older": {[]int{3, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := wrote()
			var err error
			for _, value := range test.reads {
				if err != nil {
					t.Fatal(err)
				}
				err = l.Read("x", value)
			}
			if (err == nil) != test.fine {
				t.Errorf("reading %v: %v", test.reads, err)
			}
		})
	}
}

func TestLedger_Watch(t *testing.T) {
	for name, test := range map[string]struct {
		shown  []int
		fine   bool
		missed []string
	}{
		"everything":            {[]int{1, 2}, true, nil},
		"one without an answer": {[]int{1, 2, 3}, true, nil},
		"with a gap":            {[]int{2}, true, []string{"x with value 1"}},
		"nothing":               {nil, true, []string{"x with value 1", "x with value 2"}},
		"one twice":             {[]int{1, 1}, false, []string{"x with value 2"}},
		"out of order":          {[]int{2, 1}, false, []string{"x with value 1"}},
		"one that nobody wrote": {[]int{1, 2, 4}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := wrote()
			var err error
			for _, value := range test.shown {
				if err != nil {
					t.Fatal(err)
				}
				err = l.Show("x", value)
			}
			if (err == nil) != test.fine {
				t.Errorf("showing %v: %v", test.shown, err)
			}
			if missed := l.Missed(); !slices.Equal(missed, test.missed) {
				t.Errorf("missed %q, want %q", missed, test.missed)
			}
		})
	}
}

func TestLedger_WatchBeginsAnew(t *testing.T) {
	l := wrote()
	if err := l.List(map[string]int{"x": 2}); err != nil {
		t.Fatal(err)
	}
	if missed := l.Missed(); missed != nil || !l.Shown("x", 2) {
		t.Errorf("missed what was listed: %q", missed)
	}
	if err := l.Show("x", 2); err == nil {
		t.Error("what was listed is shown")
	}
	if err := l.Show("x", 3); err != nil {
		t.Error(err)
	}
	for name, listed := range map[string]map[string]int{"older": {"x": 2}, "gone": {}} {
		if err := l.List(listed); err == nil {
			t.Errorf("%s than what the watch had shown, and not noticed", name)
		}
	}
}

func TestLedger_KnowsWhatIsAcknowledged(t *testing.T) {
	l := wrote()
	l.Try("y", 1)
	if names := l.Names(); !slices.Equal(names, []string{"x"}) || l.Count() != 2 {
		t.Errorf("names %q, %d acknowledged", names, l.Count())
	}
}
