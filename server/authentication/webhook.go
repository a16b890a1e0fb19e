package authentication

import (
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
)

// Webhook is a service that reviews bearer tokens, as in kube-apiserver.
type Webhook struct {
	// Kubeconfig is a file that says where the service is and how the server proves who it is.
	Kubeconfig string
	// Version of authentication.k8s.io in which they talk: v1 or v1beta1.
	Version string
	// CacheTTL is how long an answer is used again; 0 means that the service is always asked.
	CacheTTL time.Duration
}

// build returns the authenticator. It sends no request.
func (w *Webhook) build() (authenticator.Token, error) {
	config, err := webhookutil.LoadKubeconfig(w.Kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("--authentication-token-webhook-config-file %s: %w", w.Kubeconfig, err)
	}
	reviews, err := webhook.New(config, w.Version, nil, *webhook.DefaultRetryBackoff())
	if err != nil {
		return nil, fmt.Errorf("--authentication-token-webhook-config-file %s: %w", w.Kubeconfig, err)
	}
	return cache.New(reviews, false, w.CacheTTL, w.CacheTTL), nil
}
