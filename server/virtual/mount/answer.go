package mount

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/annex-dev/annex/server/apistatus"
)

// refusal is an answer of a target that is not shown.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

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
		return refusal("the mounted server does not accept the client certificate of this server")
	case code >= 300 && code < 400 && code != http.StatusNotModified:
		// A client that follows sends its credentials there.
		return refusal("the mounted server answers with a redirect, which is not followed")
	}
	answer.Header = only(answer.Header, answered)
	// A tenant makes the answer. A browser must neither run nor guess what it is.
	answer.Header.Set("X-Content-Type-Options", "nosniff")
	answer.Header.Set("Content-Security-Policy", "sandbox")
	return nil
}

// statusOf returns the API status for a request that got no answer because of err, which may name addresses inside the network of the server.
func statusOf(err error) error {
	var large *http.MaxBytesError
	var refused refusal
	switch {
	case errors.As(err, &large):
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", large.Limit))
	case errors.As(err, &refused):
		return badGateway(refused.Error())
	}
	return badGateway("the mounted server cannot be reached")
}

func badGateway(message string) error {
	return apistatus.New(http.StatusBadGateway, metav1.StatusReasonServiceUnavailable, message)
}
