package session

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A server that does not answer and credentials that are not valid have messages of their own.
func TestExplain(t *testing.T) {
	get := func(err error) error { return &url.Error{Op: "Get", URL: "https://annex/clusters/root/apis", Err: err} }
	for want, err := range map[string]error{
		"https://annex does not answer: dial tcp: connection refused":                                          get(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}),
		"https://annex does not answer: context deadline exceeded":                                             get(context.DeadlineExceeded),
		"https://annex does not answer: i/o timeout":                                                           get(os.ErrDeadlineExceeded),
		"https://annex does not accept the credentials of the kubeconfig: they are not valid, or have expired": apierrors.NewUnauthorized("Unauthorized"),
		"reading: Get \"https://annex/clusters/root/apis\": x509: unknown authority":                           get(errors.New("x509: unknown authority")),
		"reading: Get \"https://annex/clusters/root/apis\": read tcp: connection reset by peer":                get(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}),
		"reading: Internal error occurred: etcd is down":                                                       apierrors.NewInternalError(errors.New("etcd is down")),
	} {
		if got := explain("https://annex", "reading", err).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
