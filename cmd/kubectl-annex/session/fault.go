package session

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// explain returns err, with which a request to the server at base has failed, in terms of what the user can do about it. what says what the request
// was for.
func explain(base, what string, err error) error {
	var (
		network *net.OpError
		request *url.Error
	)
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s does not accept the credentials of the kubeconfig: they are not valid, or have expired", base)
	case errors.As(err, &network) && network.Op == "dial":
		return fmt.Errorf("%s does not answer: %w", base, network)
	case errors.As(err, &request) && request.Timeout():
		return fmt.Errorf("%s does not answer: %w", base, request.Err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
