package serve

import (
	"bufio"
	"net/http"
	"sync"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// together is how many bytes of a list are sent at a time. Stock handlers write each object by itself, and each write passes the whole
// chain, and becomes a frame and a call of the system.
const together = 64 << 10

var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, together) }}

// collected is a response whose body is collected before it is sent.
type collected struct {
	http.ResponseWriter
	body *bufio.Writer
}

var _ responsewriter.UserProvidedDecorator = &collected{}

// collect calls do with a writer that collects what do writes to w. If do panics, what was not sent is not: the client must not take a part
// for the whole.
func collect(w http.ResponseWriter, do func(http.ResponseWriter)) {
	body := writers.Get().(*bufio.Writer)
	defer func() {
		body.Reset(nil)
		writers.Put(body)
	}()
	body.Reset(w)
	do(responsewriter.WrapForHTTP1Or2(&collected{ResponseWriter: w, body: body}))
	_ = body.Flush() // the client has left
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (c *collected) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Write implements http.ResponseWriter.
func (c *collected) Write(p []byte) (int, error) { return c.body.Write(p) }

// Flush implements http.Flusher.
func (c *collected) Flush() {
	if err := c.body.Flush(); err != nil {
		return
	}
	if flusher, ok := c.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}
