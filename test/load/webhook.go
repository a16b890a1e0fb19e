package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/cert"
)

var webhooks = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")

// webhookNetwork is where the receiver is. A server that this program starts is
// told to allow it.
const webhookNetwork = "127.0.0.0/8"

// measureWebhook compares a namespace with a validating webhook for ConfigMaps
// with one without. All servers call the same receiver, in this process.
func measureWebhook(ctx context.Context, b *bench) (err error) {
	r, err := startReceiver()
	if err != nil {
		return fmt.Errorf("starting the receiver of webhooks: %w", err)
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	return b.measureRule(ctx, rule{name: "webhook", make: r.makeWebhook})
}

// receiver allows everything.
type receiver struct {
	url    string
	ca     []byte
	asked  atomic.Int64
	server *http.Server
	served chan error
}

func startReceiver() (*receiver, error) {
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "https://" + l.Addr().String(), ca: certPEM, served: make(chan error, 1)}
	r.server = &http.Server{
		Handler: http.HandlerFunc(r.serve), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ReadHeaderTimeout: time.Minute,
	}
	go func() { r.served <- r.server.ServeTLS(l, "", "") }()
	return r, nil
}

func (r *receiver) stop() error {
	closed := r.server.Close()
	if err := <-r.served; !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(closed, err)
	}
	return closed
}

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	r.asked.Add(1)
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the server has left
}

// makeWebhook makes a webhook for a namespace and returns when it is asked.
func (r *receiver) makeWebhook(ctx context.Context, client dynamic.Interface, namespace string) error {
	configuration := newObject(webhooks, "ValidatingWebhookConfiguration", ruledName, map[string]any{"webhooks": []any{map[string]any{
		"name": "all." + ruledName, "admissionReviewVersions": []any{"v1"}, "sideEffects": "None", "failurePolicy": "Fail",
		"clientConfig": map[string]any{"url": r.url, "caBundle": base64.StdEncoding.EncodeToString(r.ca)},
		"rules":        configMapWrites(), "namespaceSelector": inNamespace(namespace),
	}}})
	if _, err := client.Resource(webhooks).Create(ctx, configuration, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a ValidatingWebhookConfiguration: %w", err)
	}
	before := r.asked.Load()
	return awaitRule(ctx, func() (bool, error) {
		_, err := client.Resource(configMaps).Namespace(namespace).Create(ctx, newConfigMap("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return r.asked.Load() > before, err
	})
}
