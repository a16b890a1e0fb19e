package apistatus

import (
	"context"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Of returns what to answer err with. An API status that asks the client to come again counts wherever it is in the chain
// of err, as does the end of a context; any other error is returned as it is. Nil stays nil.
func Of(err error) error {
	if status := retriable(err); status != nil {
		return status
	}
	return err
}

// Internal is Of for an error that is a fault of the server otherwise: 500.
func Internal(err error) error {
	if status := retriable(err); status != nil {
		return status
	}
	return apierrors.NewInternalError(err)
}

// retriable returns the status within err that asks the client to come again; nil when there is none.
func retriable(err error) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		switch status.ErrStatus.Code {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return status
		}
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return apierrors.NewTimeoutError("the request did not finish in time", 1)
	}
	return nil
}
