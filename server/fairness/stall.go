package fairness

import (
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// patience is how long a client may keep one read of its body, or one write of the answer, waiting before its request gives
// its seats back.
const patience = time.Second

// stall watches over the connection of a request that holds a seat.
type stall struct {
	seat     *seat
	patience time.Duration
	timer    *time.Timer
	// since is when the read or write at hand has begun, in nanoseconds; 0 while there is none.
	since atomic.Int64
}

// watchStall returns w and r as the handler is to use them. The caller ends it with the returned function.
func watchStall(s *seat, patience time.Duration, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, func()) {
	st := &stall{seat: s, patience: patience}
	// Set before it can fire: check uses it.
	st.timer = time.AfterFunc(math.MaxInt64, st.check)
	st.timer.Reset(patience)
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context())
		r.Body = &stallBody{ReadCloser: r.Body, stall: st}
	}
	return responsewriter.WrapForHTTP1Or2(&stallWriter{ResponseWriter: w, stall: st}), r, st.end
}

func (s *stall) check() {
	since := s.since.Load()
	if since != 0 && time.Since(time.Unix(0, since)) >= s.patience {
		s.seat.release()
		return
	}
	select {
	case <-s.seat.done:
	default:
		s.timer.Reset(s.patience)
	}
}

func (s *stall) end() { s.timer.Stop() }

func (s *stall) begin() { s.since.Store(time.Now().UnixNano()) }

func (s *stall) over() { s.since.Store(0) }

type stallWriter struct {
	http.ResponseWriter
	stall *stall
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *stallWriter) Write(p []byte) (int, error) {
	w.stall.begin()
	defer w.stall.over()
	return w.ResponseWriter.Write(p)
}

type stallBody struct {
	io.ReadCloser
	stall *stall
}

// Read implements io.Reader.
func (b *stallBody) Read(p []byte) (int, error) {
	b.stall.begin()
	defer b.stall.over()
	return b.ReadCloser.Read(p)
}
