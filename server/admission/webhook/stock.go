package webhook

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/generic"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"

	"github.com/annex-dev/annex/server/admission/dynamic"
)

// configuration makes a stock plugin take webhooks from a source that it is given, which it otherwise does for those that are read from a
// directory. It reads no directory, but checks that there is one.
const configuration = `{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration", "staticManifestsDir": "/"}`

// stock is a plugin of k8s.io/apiserver.
type stock struct {
	source *handover
	admit  func(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error
}

func newMutating() (*stock, error) {
	plugin, err := mutating.NewMutatingWebhook(strings.NewReader(configuration))
	if err != nil {
		return nil, fmt.Errorf("building the plugin of mutating webhooks: %w", err)
	}
	s := &stock{source: &handover{}, admit: plugin.Admit}
	return s, s.prepare(plugin.Webhook)
}

func newValidating() (*stock, error) {
	plugin, err := validating.NewValidatingAdmissionWebhook(strings.NewReader(configuration))
	if err != nil {
		return nil, fmt.Errorf("building the plugin of validating webhooks: %w", err)
	}
	s := &stock{source: &handover{}, admit: plugin.Validate}
	return s, s.prepare(plugin.Webhook)
}

// prepare gives w what it asks for: the source, and in the place of informers and clients of a cluster some that never run.
func (s *stock) prepare(w *generic.Webhook) error {
	ended := make(chan struct{})
	close(ended)
	w.SetDrainedNotification(ended)
	w.SetStaticSourceFactory(func(string) (generic.ReloadableSource, error) { return s.source, nil })
	w.SetAuthenticationInfoResolverWrapper(func(webhookutil.AuthenticationInfoResolver) webhookutil.AuthenticationInfoResolver {
		return noClients{}
	})
	// A hook has compared labels before it lets the stock plugin compare them with nothing.
	w.SetExternalKubeClientSet(dynamic.Client(func(string) (*corev1.Namespace, error) { return &corev1.Namespace{}, nil }))
	w.SetExternalKubeInformerFactory(informers.NewSharedInformerFactory(nil, 0))
	if err := w.ValidateInitialization(); err != nil {
		return fmt.Errorf("preparing the stock plugin of webhooks: %w", err)
	}
	w.SetReadyFunc(func() bool { return true })
	return nil
}

// dispatch lets the stock plugin call those of the webhooks that a is for.
func (s *stock) dispatch(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces, hooks *asked, all hookList) error {
	return s.source.dispatch(within(all, hooks), func() error { return s.admit(ctx, a, dynamic.Objects(o)) })
}
