package apistatus

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// New returns a failure with the given HTTP code, reason and message.
func New(code int32, reason metav1.StatusReason, message string) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}

// NotServed is what kube-apiserver answers for a resource or path that it does not serve: 404.
func NotServed() error {
	return New(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
}

// NotImplemented is the answer for something that is known and not supported: 501.
func NotImplemented(message string) error {
	return New(http.StatusNotImplemented, metav1.StatusReasonMethodNotAllowed, message)
}
