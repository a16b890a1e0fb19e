package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	codecs "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Asker sends requests to one server as one user.
type Asker struct {
	client *rest.RESTClient
	// base is the URL without the path of a workspace.
	base string
}

// NewAsker returns an Asker with the credentials of config, for URLs below base.
func NewAsker(config *rest.Config, base string) (*Asker, error) {
	config = rest.CopyConfig(config)
	config.Host, config.QPS, config.NegotiatedSerializer = base, -1, codecs.Codecs.WithoutConversion()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return &Asker{client: client, base: base}, nil
}

// Get decodes the JSON at a URL below the base into into, which may be nil.
func (a *Asker) Get(ctx context.Context, target string, into any) error {
	result := a.client.Get().AbsPath(strings.TrimPrefix(target, a.base)).SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx)
	// Only Error decodes the Status in the response.
	if err := result.Error(); err != nil || into == nil {
		return err
	}
	data, err := result.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// Code returns the HTTP status of a response; 0 if there was none.
func Code(err error) int32 {
	if err == nil {
		return http.StatusOK
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}
