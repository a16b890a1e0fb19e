package parity

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// request is a step with its variables filled in.
type request struct {
	method, path string
	headers      map[string]string
	body         []byte
	watch        bool
	onlyHead     bool // nobody looks at the body of the answer, unless it is an error
	events       int  // of a watch; zero for all
}

// patches are the verbs that stand for a PATCH and its content type.
var patches = map[string]string{
	"MERGE":     "application/merge-patch+json",
	"STRATEGIC": "application/strategic-merge-patch+json",
	"JSON":      "application/json-patch+json",
	"APPLY":     "application/apply-patch+yaml",
}

func newRequest(step Step, variables map[string]any) (request, error) {
	do, err := substituteText(step.Do, variables)
	if err != nil {
		return request{}, err
	}
	verb, path, found := strings.Cut(do, " ")
	if !found {
		return request{}, fmt.Errorf("%q is not a verb and a path", do)
	}
	r := request{method: verb, path: path, events: step.Events, onlyHead: verb == http.MethodGet && step.onlyHead(), headers: map[string]string{"Accept": "application/json"}}
	if step.Body != nil {
		r.headers["Content-Type"] = "application/json"
	}
	if contentType, ok := patches[verb]; ok {
		r.method, r.headers["Content-Type"] = http.MethodPatch, contentType
	}
	if verb == "WATCH" {
		r.method, r.watch = http.MethodGet, true
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		r.path += separator + "watch=true"
	}
	for name, value := range step.Headers {
		if r.headers[name], err = substituteText(value, variables); err != nil {
			return request{}, err
		}
	}
	body, err := substitute(step.Body, variables)
	if err != nil {
		return request{}, err
	}
	switch body := body.(type) {
	case nil:
	case string:
		r.body = []byte(body)
	default:
		if r.body, err = encode(r.headers["Content-Type"], body); err != nil {
			return request{}, fmt.Errorf("encoding the body: %w", err)
		}
	}
	return r, nil
}

// do sends a request and reads the answer, of a watch as many events as wanted.
func (s *Side) do(ctx context.Context, r request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent, err := http.NewRequestWithContext(ctx, r.method, s.url+r.path, bytes.NewReader(r.body))
	if err != nil {
		return Answer{}, err
	}
	for name, value := range r.headers {
		sent.Header.Set(name, value)
	}
	got, err := s.client.Do(sent)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = got.Body.Close() }()
	answer := Answer{Code: got.StatusCode, Header: maps.Clone(got.Header)}
	if r.watch && got.StatusCode == http.StatusOK {
		answer.Events, err = readEvents(got.Header.Get("Content-Type"), got.Body, r.events)
		return answer, err
	}
	if r.onlyHead && got.StatusCode < http.StatusBadRequest {
		_, err = io.Copy(io.Discard, got.Body)
		return answer, err
	}
	data, err := io.ReadAll(got.Body)
	if err != nil {
		return answer, fmt.Errorf("reading the answer: %w", err)
	}
	answer.Body = decode(got.Header.Get("Content-Type"), data)
	answer.Envelope, err = envelopeOf(got.Header.Get("Content-Type"), data)
	return answer, err
}
