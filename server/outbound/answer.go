package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// errAnswer ends an answer that is too large.
var errAnswer = fmt.Errorf("the answer is larger than %d bytes", maxAnswerBytes)

// bounded returns to with answers that are neither redirects nor larger than they may be.
func bounded(to http.RoundTripper) http.RoundTripper {
	if transport, ok := to.(*http.Transport); ok {
		transport.MaxResponseHeaderBytes = maxHeaderBytes
	}
	return &roundTripper{to}
}

type roundTripper struct{ to http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r *roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := r.to.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 && answer.StatusCode < 400 {
		_ = answer.Body.Close()
		return nil, errors.New("the answer is a redirect, which is not followed")
	}
	if answer.ContentLength > maxAnswerBytes {
		_ = answer.Body.Close()
		return nil, errAnswer
	}
	answer.Body = &body{ReadCloser: answer.Body, left: maxAnswerBytes}
	return answer, nil
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (r *roundTripper) WrappedRoundTripper() http.RoundTripper { return r.to }

// body ends with an error after a number of bytes, which are counted after decompression.
type body struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return b.left, errAnswer
	}
	b.left -= n
	return n, err
}
