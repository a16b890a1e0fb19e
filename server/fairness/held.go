package fairness

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/registry/room"
)

// answerPart is the part of the memory for answers that one answer may have: half of what a workspace has if it is alone.
const answerPart = 4

// held is the room of a request. It keeps its memory while the client takes the answer, however slowly: only requests of the same share
// find less because of that. Safe for many goroutines.
type held struct {
	limiter *Limiter
	share   share

	mu    sync.Mutex
	bytes int
	ended bool
}

var _ room.Room = &held{}

func heldBy(l *Limiter, s share) *held { return &held{limiter: l, share: s} }

// Take implements room.Room.
func (h *held) Take(bytes int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	budget := h.limiter.answers
	most := budget.max / answerPart
	switch {
	case h.ended:
		return nil
	case most > 0 && h.bytes > 0 && h.bytes+int(bytes) > most:
		return &room.TooLargeError{Most: int64(most)}
	case !budget.takeSome(h.share, int(bytes)):
		h.limiter.metrics.rejected.WithLabelValues(kindAnswer, reasonFull).Inc()
		return apierrors.NewTooManyRequests("answers to other requests in this workspace take too much memory, please try again later", retrySoon)
	}
	h.bytes += int(bytes)
	return nil
}

// end returns the memory.
func (h *held) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if h.bytes > 0 {
		h.limiter.answers.giveSome(h.share, h.bytes)
		h.bytes = 0
	}
}
