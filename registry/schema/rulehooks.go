package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
)

// ruleHooks are Webhooks whose only webhook is rules. Its clients connect to nothing.
type ruleHooks struct{ rules *rules }

var _ Webhooks = ruleHooks{}

// ClientConfigFor implements webhook.AuthenticationInfoResolver.
func (h ruleHooks) ClientConfigFor(string) (*rest.Config, error) {
	config := &rest.Config{}
	config.Wrap(func(http.RoundTripper) http.RoundTripper { return ruleTripper(h) })
	return config, nil
}

// ClientConfigForService implements webhook.AuthenticationInfoResolver.
func (ruleHooks) ClientConfigForService(string, string, int) (*rest.Config, error) {
	return nil, errUnguarded
}

// ResolveEndpoint implements webhook.ServiceResolver.
func (ruleHooks) ResolveEndpoint(string, string, int32) (*url.URL, error) { return nil, errUnguarded }

// ruleTripper answers a ConversionReview.
type ruleTripper struct{ rules *rules }

// RoundTrip implements http.RoundTripper.
func (t ruleTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	review := &apiextensionsv1.ConversionReview{}
	if err := json.Unmarshal(body, review); err != nil || review.Request == nil {
		return nil, fmt.Errorf("decoding the ConversionReview: %w", err)
	}
	review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	if review.Response.ConvertedObjects, err = t.convert(review.Request); err != nil {
		review.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	return reviewed(request, review)
}

// reviewed returns the answer to a request for a review.
func reviewed(request *http.Request, review *apiextensionsv1.ConversionReview) (*http.Response, error) {
	review.Request = nil
	answer, err := json.Marshal(review)
	if err != nil {
		return nil, fmt.Errorf("encoding the ConversionReview: %w", err)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {runtime.ContentTypeJSON}}, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

func (t ruleTripper) convert(request *apiextensionsv1.ConversionRequest) ([]runtime.RawExtension, error) {
	to, err := apischema.ParseGroupVersion(request.DesiredAPIVersion)
	if err != nil {
		return nil, err
	}
	objects := make([]*unstructured.Unstructured, len(request.Objects))
	for i := range request.Objects {
		objects[i] = &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(request.Objects[i].Raw, &objects[i].Object); err != nil {
			return nil, fmt.Errorf("decoding the object: %w", err)
		}
	}
	converted, err := t.rules.convert(objects, to)
	if err != nil {
		return nil, err
	}
	answer := make([]runtime.RawExtension, len(converted))
	for i, obj := range converted {
		if answer[i].Raw, err = json.Marshal(obj.Object); err != nil {
			return nil, fmt.Errorf("encoding the converted object: %w", err)
		}
	}
	return answer, nil
}
