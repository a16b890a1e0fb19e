package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// numbers lists pages of one number each, and counts how often it is asked.
type numbers struct {
	pages int
	asked atomic.Int64
	fail  func(ctx context.Context, page int) error
}

func (n *numbers) list(ctx context.Context, next string) (Page[int], error) {
	n.asked.Add(1)
	page := 0
	if next != "" {
		page, _ = strconv.Atoi(next)
	}
	time.Sleep(time.Millisecond)
	if n.fail != nil {
		if err := n.fail(ctx, page); err != nil {
			return Page[int]{}, err
		}
	}
	result := Page[int]{Items: []int{page}, Version: "7"}
	if page+1 < n.pages {
		result.Next = strconv.Itoa(page + 1)
	}
	return result, nil
}

// all lists everything as a member, with a rest after each page.
func all(ctx context.Context, m *Member[int], rest time.Duration) ([]int, error) {
	var items []int
	next := ""
	for {
		page, err := m.List(ctx, next)
		if err != nil {
			return nil, err
		}
		if page.Version != "7" {
			return nil, fmt.Errorf("version %q", page.Version)
		}
		items = append(items, page.Items...)
		if next = page.Next; next == "" {
			return items, nil
		}
		time.Sleep(rest)
	}
}

func upTo(n int) []int {
	var want []int
	for i := range n {
		want = append(want, i)
	}
	return want
}

func TestTogether(t *testing.T) {
	t.Parallel()
	const pages = 40
	for name, tt := range map[string]struct {
		rests []time.Duration // of each member
		asked int64
	}{
		"alone":             {rests: []time.Duration{0}, asked: pages},
		"equally fast":      {rests: []time.Duration{0, 0, 0, 0, 0, 0, 0, 0}, asked: pages},
		"one a bit slower":  {rests: []time.Duration{0, 0, 20 * time.Millisecond}, asked: pages},
		"one much slower":   {rests: []time.Duration{0, 0, time.Minute}, asked: 2*pages - 1},
		"the two are alone": {rests: []time.Duration{0, time.Minute, 2 * time.Minute}, asked: 3*pages - 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &numbers{pages: pages}
				together := &Together[int]{List: n.list}
				var group sync.WaitGroup
				for _, rest := range tt.rests {
					group.Go(func() {
						got, err := all(t.Context(), together.Join(), rest)
						if err != nil || !slices.Equal(got, upTo(pages)) {
							t.Errorf("got %v, %v", got, err)
						}
					})
				}
				group.Wait()
				if got := n.asked.Load(); got != tt.asked {
					t.Errorf("%d pages were read, want %d", got, tt.asked)
				}
				if together.open != nil {
					t.Error("somebody still gathers")
				}
			})
		})
	}
}

// Who begins while others list must not get a state that is older than its begin.
func TestTogether_LateOnesBeginAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &numbers{pages: 10}
		together := &Together[int]{List: n.list}
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 2 * gathering)
				if got, err := all(t.Context(), together.Join(), time.Second); err != nil || !slices.Equal(got, upTo(10)) {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		group.Wait()
		if got := n.asked.Load(); got != 20 {
			t.Errorf("%d pages were read", got)
		}
	})
}

// An error is that of who asked; the others ask for themselves. So is the end of a context.
func TestTogether_Failures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended, end := context.WithCancel(t.Context())
		broken := errors.New("broken")
		n := &numbers{pages: 10}
		var failed atomic.Bool
		n.fail = func(ctx context.Context, page int) error {
			switch {
			case page == 5 && failed.CompareAndSwap(false, true):
				return broken
			case page == 3 && ctx == ended:
				end()
			}
			return ctx.Err()
		}
		together := &Together[int]{List: n.list}
		var group sync.WaitGroup
		var brokenOnes, endedOnes atomic.Int64
		for i := range 6 {
			group.Go(func() {
				ctx := t.Context()
				if i == 0 {
					ctx = ended
				}
				m := together.Join()
				got, err := all(ctx, m, 0)
				switch {
				case errors.Is(err, broken):
					brokenOnes.Add(1)
					if got, err = all(ctx, m, 0); err != nil || !slices.Equal(got, upTo(10)) {
						t.Errorf("a second time: %v, %v", got, err)
					}
				case i == 0 && err != nil:
					endedOnes.Add(1)
				case err != nil || !slices.Equal(got, upTo(10)):
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		group.Wait()
		if brokenOnes.Load() > 1 || endedOnes.Load() > 1 || !failed.Load() {
			t.Errorf("%d broken, %d ended", brokenOnes.Load(), endedOnes.Load())
		}
	})
}
