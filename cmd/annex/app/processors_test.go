package app

import "testing"

func TestMore(t *testing.T) {
	for _, test := range []struct{ usable, all, want int }{
		{usable: 1, all: 1, want: 2},
		{usable: 2, all: 2, want: 4},
		{usable: 64, all: 64, want: 68},
		{usable: 2, all: 64, want: 0}, // a quota
		{usable: 4, all: 2, want: 0},  // set before
	} {
		if got := more(test.usable, test.all); got != test.want {
			t.Errorf("%d of %d processors: %d, want %d", test.usable, test.all, got, test.want)
		}
	}
}
