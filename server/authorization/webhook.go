package authorization

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook/metrics"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// ClusterNameKey is the key of the extra field that tells a webhook in which logical cluster a request is.
	ClusterNameKey = "authorization.kcp.io/cluster-name"

	// webhookTimeout is how long a request waits for the decision of a webhook.
	webhookTimeout = 10 * time.Second
	// mostAnswers bounds the answers that are kept, in bytes. The stock authorizer bounds only their number, and a review by a tenant may be
	// as large as an object.
	mostAnswers = 16 << 20
	// answerBytes is about how much an answer takes besides the question.
	answerBytes = 512

	stepWebhook = "webhook"
)

// WebhookConfig names a service that decides about requests, as in kube-apiserver.
type WebhookConfig struct {
	// Kubeconfig is a file that says where the service is and how the server proves who it is.
	Kubeconfig string
	// Version of authorization.k8s.io in which they talk: v1 or v1beta1.
	Version string
	// AllowTTL and DenyTTL say how long an answer is used again.
	AllowTTL, DenyTTL time.Duration
}

// NewWebhook returns an authorizer that asks the service. It sends no request yet. If the service does not answer, it denies with an error.
func NewWebhook(c WebhookConfig) (authorizer.UnconditionalAuthorizer, error) {
	config, err := webhookutil.LoadKubeconfig(c.Kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("--authorization-webhook-config-file %s: %w", c.Kubeconfig, err)
	}
	w := &remote{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &counting{next, &w.asked} })
	w.build = func() (authorizer.UnconditionalAuthorizer, error) { return c.stock(config) }
	if w.current, err = w.build(); err != nil {
		return nil, fmt.Errorf("--authorization-webhook-config-file %s: %w", c.Kubeconfig, err)
	}
	return w, nil
}

func (c WebhookConfig) stock(config *rest.Config) (authorizer.UnconditionalAuthorizer, error) {
	// A compiler is needed only for conditions.
	return webhook.New(config, c.Version, c.AllowTTL, c.DenyTTL, *webhook.DefaultRetryBackoff(), authorizer.DecisionDeny, nil, "", metrics.NoopAuthorizerMetrics{}, nil)
}

// remote is a stock authorizer that forgets its answers when they are too large.
type remote struct {
	build func() (authorizer.UnconditionalAuthorizer, error)
	// asked is at least how large the answers are that current keeps.
	asked atomic.Int64

	mu      sync.Mutex
	current authorizer.UnconditionalAuthorizer
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (w *remote) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	stock, err := w.bounded()
	if err != nil {
		return authorizer.DecisionDeny, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	return stock.Authorize(ctx, attrs)
}

// bounded returns the stock authorizer, or a new one.
func (w *remote) bounded() (authorizer.UnconditionalAuthorizer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked.Load() > mostAnswers {
		fresh, err := w.build()
		if err != nil {
			return nil, fmt.Errorf("forgetting answers: %w", err)
		}
		w.current = fresh
		w.asked.Store(0)
	}
	return w.current, nil
}

// counting adds up the questions that are sent: each is part of the key of an answer that is kept.
type counting struct {
	next http.RoundTripper
	sum  *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.sum.Add(max(req.ContentLength, 0) + answerBytes)
	return c.next.RoundTrip(req)
}

// byWebhook asks the webhook about a request in cluster. The webhook decides in the place of RBAC and of the rules about who may enter. It lifts
// no barrier: neither required groups, nor those that protect the server's own clusters and statuses and the providers of bound resources.
func (c *Authorizer) byWebhook(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, standing, error) {
	if cluster.IsSystem() {
		return authorizer.DecisionDeny, "only system:masters may enter clusters of the server itself", outside, nil
	}
	if decision, reason, err := c.behindBarriers(ctx, cluster, attrs); err != nil || decision == authorizer.DecisionDeny {
		return authorizer.DecisionDeny, reason, c.standingIn(ctx, cluster, attrs), err
	}
	decision, reason, err := c.Webhook.Authorize(ctx, asked{attrs, inClusterNamed(attrs.GetUser(), cluster)})
	if err != nil {
		decision, err = authorizer.DecisionDeny, fmt.Errorf("asking the authorization webhook: %w", err)
	}
	annotate(ctx, stepWebhook, attrs, decision, reason, err)
	if decision == authorizer.DecisionAllow {
		return decision, reason, inside, nil
	}
	where := c.standingIn(ctx, cluster, attrs)
	if err != nil && where == outside {
		klog.FromContext(ctx).Error(err, "Authorization failed", "cluster", cluster)
		err = nil // the answer is that about a cluster that does not exist
	}
	return decision, reason, where, err
}

// standingIn returns where a user stands whom somebody else than RBAC does not allow something.
func (c *Authorizer) standingIn(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) standing {
	if decision, _, err := c.requiredGroups(ctx, cluster, attrs); err != nil || decision == authorizer.DecisionDeny {
		return outside
	}
	decision, reason, err := c.content(ctx, cluster, attrs)
	switch {
	case err == nil && decision != authorizer.DecisionDeny:
		return inside
	case err == nil && reason == switchedOff:
		return before
	}
	return outside
}

// inClusterNamed returns u with the extra field that names the cluster of the request.
func inClusterNamed(u user.Info, cluster logicalcluster.Name) user.Info {
	extra := maps.Clone(u.GetExtra())
	if extra == nil {
		extra = map[string][]string{}
	}
	extra[ClusterNameKey] = []string{cluster.String()}
	return &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: extra}
}
