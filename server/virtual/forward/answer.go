package forward

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/annex-dev/annex/server/apistatus"
)

// Refusal says what a target does that is not shown.
type Refusal string

// Error implements error.
func (r Refusal) Error() string { return string(r) }

// show makes of what a target answers what the client gets.
func show(answer *http.Response) error {
	// What comes from now on is the target's work, and that of the client.
	flowcontrol.WatchInitialized(answer.Request.Context())
	code := answer.StatusCode
	switch {
	case code == http.StatusSwitchingProtocols:
		answer.Header = only(answer.Header, answered, switched)
		return nil
	case code == http.StatusUnauthorized:
		// It is not about the credentials of the client, which would fetch others.
		return Refusal("does not accept the client certificate of this server")
	case code >= 300 && code < 400 && code != http.StatusNotModified:
		// A client that follows sends its credentials there.
		return Refusal("answers with a redirect, which is not followed")
	}
	answer.Header = only(answer.Header, answered)
	// A tenant makes the answer. A browser must neither run nor guess what it is.
	answer.Header.Set("X-Content-Type-Options", "nosniff")
	answer.Header.Set("Content-Security-Policy", "sandbox")
	return nil
}

// statusOf returns the API status for a request that got no answer of peer because of err, which may name addresses inside the network of the server.
func statusOf(err error, peer string) error {
	var large *http.MaxBytesError
	var refused Refusal
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &large):
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", large.Limit))
	case errors.As(err, &refused):
		return badGateway(peer + " " + refused.Error())
	case errors.As(err, &status):
		return err // too many requests wait for the target
	}
	return badGateway(peer + " cannot be reached")
}

func badGateway(message string) error {
	return apistatus.New(http.StatusBadGateway, metav1.StatusReasonServiceUnavailable, message)
}
