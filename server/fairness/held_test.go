package fairness

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/registry/room"
)

func TestHeld_AnswersShareTheMemory(t *testing.T) {
	l := New(Config{Answers: 1000}, unknownPath, NewMetrics())
	turnOf := func(name string) (context.Context, *turn) {
		t.Helper()
		turn, err := l.admit(t.Context(), own(name), "user", kindRead, 1)
		if err != nil {
			t.Fatal(err)
		}
		return room.With(t.Context(), turn.held), turn
	}
	must := func(ctx context.Context, bytes int64) {
		t.Helper()
		if err := room.Take(ctx, bytes); err != nil {
			t.Errorf("taking %d bytes: %v", bytes, err)
		}
	}
	var tooLarge *room.TooLargeError
	first, ends := turnOf("greedy")
	must(first, 240)
	if err := room.Take(first, 20); !errors.As(err, &tooLarge) || tooLarge.Most != 250 {
		t.Errorf("more than a quarter for one answer: %v", err)
	}
	// Nothing else than the first object of an answer could be larger than a quarter.
	second, _ := turnOf("greedy")
	must(second, 260)
	third, _ := turnOf("greedy")
	if err := room.Take(third, 1); !apierrors.IsTooManyRequests(err) {
		t.Errorf("more than half for one workspace: %v", err)
	}
	quiet, _ := turnOf("quiet")
	must(quiet, 200)
	ends.end()
	ends.end()
	must(third, 100)
	must(t.Context(), 1e9) // the server's own work
	if free := l.answers.max - l.answers.used; free != 1000-260-200-100 {
		t.Errorf("%d are free", free)
	}
}
