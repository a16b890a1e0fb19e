package webhook

import (
	"context"
	"errors"
	"time"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/view"
	"github.com/annex-dev/annex/server/admission/dynamic"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/auditing"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/outbound"
)

const (
	// defaultCapacity bounds what is kept of webhooks.
	defaultCapacity = 32 << 20
	// compileTimeout bounds how long requests may wait for their webhooks to be read.
	compileTimeout = 10 * time.Second
	// Watches that do not deliver must not keep a new webhook from being called: see registry/view.
	confirmAfter  = 5 * time.Second
	distrustAfter = 30 * time.Second
)

type hookList = []webhook.WebhookAccessor

// Config is what the plugins are made of. Everything is required unless it says otherwise.
type Config struct {
	// Reader reads configurations, and may be a little behind; Fresh waits for it, nil if it never is.
	Reader client.Reader
	Fresh  view.Fresh
	// Workspace reads what webhooks see of their workspace.
	Workspace *dynamic.Workspace
	// Guard makes the requests.
	Guard *outbound.Guard
	// HostServices lets webhooks name services of the host cluster.
	HostServices bool
	// Capacity bounds what is kept of webhooks, in bytes; 0 stands for 32 MiB.
	Capacity int64
}

// Plugins calls webhooks. It is safe for concurrent use.
type Plugins struct {
	view                 *view.View[*hooks]
	workspace            *dynamic.Workspace
	mutating, validating *stock
	own                  *own
}

// New returns the plugins.
func New(c Config) (*Plugins, error) {
	if c.Reader == nil || c.Workspace == nil || c.Workspace.Catalog == nil || c.Guard == nil {
		return nil, errors.New("building the plugins of webhooks: Reader, Workspace and Guard are required")
	}
	if c.Capacity == 0 {
		c.Capacity = defaultCapacity
	}
	p := &Plugins{workspace: c.Workspace, own: newOwn(clock.RealClock{})}
	clients, err := newClients(c.Guard, c.HostServices)
	if err != nil {
		return nil, err
	}
	if p.mutating, err = newMutating(); err != nil {
		return nil, err
	}
	if p.validating, err = newValidating(); err != nil {
		return nil, err
	}
	p.view = view.New(view.Config[*hooks]{
		Reader: c.Reader, Fresh: c.Fresh, Resources: Followed(), Sparse: true,
		Compile: clients.compile, Timeout: compileTimeout, Size: (*hooks).size, Capacity: c.Capacity,
		ConfirmAfter: confirmAfter, DistrustAfter: distrustAfter,
	})
	return p, nil
}

// Run follows changes of configurations until ctx ends.
func (p *Plugins) Run(ctx context.Context) error { return p.view.Run(ctx) }

// Bytes returns about how many bytes are kept, and how many may be.
func (p *Plugins) Bytes() (bytes, limit int64) { return p.view.Bytes() }

// Mutating returns the plugin that calls mutating webhooks.
func (p *Plugins) Mutating() admission.MutationInterface { return &mutator{handler(), p} }

// Validating returns the plugin that calls validating webhooks.
func (p *Plugins) Validating() admission.ValidationInterface { return &validator{handler(), p} }

func handler() *admission.Handler {
	return admission.NewHandler(admission.Connect, admission.Create, admission.Delete, admission.Update)
}

type mutator struct {
	*admission.Handler
	*Plugins
}

// Admit implements admission.MutationInterface.
func (m *mutator) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	return m.call(ctx, a, o, m.mutating, func(h *hooks) hookList { return h.mutating })
}

type validator struct {
	*admission.Handler
	*Plugins
}

// Validate implements admission.ValidationInterface.
func (v *validator) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	return v.call(ctx, a, o, v.validating, func(h *hooks) hookList { return h.validating })
}

func (p *Plugins) call(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces, stock *stock, choose func(*hooks) hookList) error {
	cluster, concerned := dynamic.Concerns(ctx, a)
	if !concerned {
		return nil
	}
	by, err := p.workspace.Decides(ctx, cluster, a)
	if err != nil {
		return apistatus.Internal(err)
	}
	all, err := p.view.Get(ctx, by.Cluster)
	if err != nil {
		return apistatus.Internal(err)
	}
	if all == nil || len(choose(all)) == 0 {
		return nil
	}
	seen := p.workspace.Of(ctx, cluster)
	if spared, err := seen.Spared(a, by); spared || err != nil {
		return apistatus.Of(err)
	}
	dynamic.Stamp(ctx, a)
	call := func(ctx context.Context) error {
		return stock.dispatch(ctx, auditing.Annotated(a), o, &asked{Attributes: a, seen: seen}, choose(all))
	}
	switch {
	case dynamic.Own(a):
		// The time is that of whose webhooks are slow.
		err = p.own.call(ctx, by.Cluster, call)
	case by.Foreign && mayConcern(choose(all), a):
		err = fairness.OnAccount(ctx, by.Cluster, func() error { return call(ctx) })
	default:
		err = call(ctx)
	}
	if by.Foreign {
		return forConsumer(a.GetResource().GroupResource(), err)
	}
	return err
}
