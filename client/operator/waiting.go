package operator

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

const (
	// lookEvery is how often a manager that waits looks whether it has to say so. A start in the usual order takes less.
	lookEvery = 5 * time.Second
	// remindEvery is the pause before it says the same again.
	remindEvery = 5 * time.Minute
)

// waiting says in the log that a manager waits for its endpoints: what it waits for, and where it has looked. Otherwise nobody would know, because
// an empty list is no error.
type waiting struct {
	// where are keys and values that say where it has looked.
	where []any

	mu      sync.Mutex
	message string // empty if nothing is missing
	err     error  // of the last try, if there was one

	// said is the message that was written last, at a time. Only look uses them.
	said string
	at   time.Time
}

// set says what is missing now.
func (w *waiting) set(message string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.message, w.err = message, err
}

func (w *waiting) get() (message string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.message, w.err
}

// run writes to the log until ctx ends.
func (w *waiting) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.look(klog.FromContext(ctx), now)
		}
	}
}

// look writes what is missing, unless it was written a short time ago.
func (w *waiting) look(log logr.Logger, now time.Time) {
	message, err := w.get()
	if message == w.said && (message == "" || now.Sub(w.at) < remindEvery) {
		return
	}
	w.said, w.at = message, now
	switch {
	case message == "":
	case err != nil:
		log.Error(err, message, w.where...)
	default:
		log.Info(message, w.where...)
	}
}
