package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// tooLarge ends an answer of more than limit bytes.
func tooLarge(limit int64) error { return fmt.Errorf("the answer is larger than %d bytes", limit) }

// bounded returns to with answers that are neither redirects nor larger than they may be: maxAnswerBytes, and for each byte of the request
// perByte more.
func bounded(to http.RoundTripper, perByte int64) http.RoundTripper {
	if transport, ok := to.(*http.Transport); ok {
		transport.MaxResponseHeaderBytes = maxHeaderBytes
	}
	return &roundTripper{to: to, perByte: perByte}
}

type roundTripper struct {
	to      http.RoundTripper
	perByte int64
}

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
	limit := maxAnswerBytes + r.perByte*max(request.ContentLength, 0)
	if answer.ContentLength > limit {
		_ = answer.Body.Close()
		return nil, tooLarge(limit)
	}
	answer.Body = &body{ReadCloser: answer.Body, limit: limit, left: limit}
	return answer, nil
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (r *roundTripper) WrappedRoundTripper() http.RoundTripper { return r.to }

// body ends with an error after a number of bytes, which are counted after decompression.
type body struct {
	io.ReadCloser
	limit, left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), tooLarge(b.limit)
	}
	b.left -= int64(n)
	return n, err
}
