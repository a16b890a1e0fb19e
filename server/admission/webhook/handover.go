package webhook

import (
	"context"
	"sync"

	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/generic"
)

// handover is the source of a stock plugin. The plugin asks for webhooks as the first thing that it does with a request, in the
// goroutine of that request, but does not say for which one. So requests take turns until it has asked: a few instructions.
type handover struct {
	mu   sync.Mutex
	next *offer
}

// offer are the webhooks of one request.
type offer struct {
	hooks []webhook.WebhookAccessor
	taken bool
}

var _ generic.ReloadableSource = &handover{}

// dispatch calls stock such that it gets hooks.
func (h *handover) dispatch(hooks []webhook.WebhookAccessor, stock func() error) error {
	o := &offer{hooks: hooks}
	h.mu.Lock()
	h.next = o
	defer func() {
		if !o.taken { // it did not ask
			h.next = nil
			h.mu.Unlock()
		}
	}()
	return stock()
}

// Webhooks implements generic.Source.
func (h *handover) Webhooks() []webhook.WebhookAccessor {
	o := h.next
	h.next, o.taken = nil, true
	h.mu.Unlock()
	return o.hooks
}

// HasSynced implements generic.Source.
func (h *handover) HasSynced() bool { return true }

// RunReloadLoop implements generic.ReloadableSource. Nothing is reloaded.
func (h *handover) RunReloadLoop(context.Context) {}
