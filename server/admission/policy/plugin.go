package policy

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/view"
	"github.com/annex-dev/annex/server/admission/dynamic"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/auditing"
)

const (
	// defaultCapacity bounds what is compiled, and a quarter of it the lists of policies.
	defaultCapacity = 64 << 20
	// compileTimeout bounds how long requests may wait for their policies to be read.
	compileTimeout = 10 * time.Second
	// Watches that do not deliver must not keep a new policy from being applied: see registry/view.
	confirmAfter  = 5 * time.Second
	distrustAfter = 30 * time.Second
)

// Config is what the plugins are made of. Everything is required unless it says otherwise.
type Config struct {
	// Reader reads policies and bindings, and may be a little behind; Fresh waits for it, nil if it never is.
	Reader client.Reader
	Fresh  view.Fresh
	// Workspace reads what policies see of their workspace.
	Workspace *dynamic.Workspace
	// TypeConverter merges what policies apply to objects of the process's own kinds.
	TypeConverter managedfields.TypeConverter
	// Schemas returns the schemas of the process's own kinds. It is called when a policy is first checked.
	Schemas func() resolver.SchemaResolver
	// Capacity bounds what is compiled, in bytes; 0 stands for 64 MiB.
	Capacity int64
}

// Plugins applies policies. It is safe for concurrent use.
type Plugins struct {
	view       *view.View[*policies]
	workspace  *dynamic.Workspace
	custom     Custom
	evaluators *evaluators
	converters *converters
	builtin    func() resolver.SchemaResolver
}

// New returns the plugins. [Plugins.Serve] has to be called before they are used.
func New(c Config) (*Plugins, error) {
	if c.Reader == nil || c.Workspace == nil || c.Workspace.Catalog == nil || c.TypeConverter == nil || c.Schemas == nil {
		return nil, errors.New("building the plugins of policies: Reader, Workspace, TypeConverter and Schemas are required")
	}
	if c.Capacity == 0 {
		c.Capacity = defaultCapacity
	}
	const parts = 4
	return &Plugins{
		workspace:  c.Workspace,
		builtin:    sync.OnceValue(c.Schemas),
		evaluators: newEvaluators(c.Capacity / parts * 2),
		converters: &converters{static: c.TypeConverter, kept: lru.New[version, managedfields.TypeConverter](c.Capacity/parts, nil)},
		view: view.New(view.Config[*policies]{
			Reader: c.Reader, Fresh: c.Fresh, Resources: Followed(), Sparse: true,
			Compile: compile, Timeout: compileTimeout, Size: (*policies).size, Capacity: c.Capacity / parts,
			ConfirmAfter: confirmAfter, DistrustAfter: distrustAfter,
		}),
	}, nil
}

// Serve says how custom resources are read, which needs admission itself. Call it before anything is served.
func (p *Plugins) Serve(custom Custom) { p.custom = custom }

// Run follows changes of policies until ctx ends.
func (p *Plugins) Run(ctx context.Context) error { return p.view.Run(ctx) }

// Forget drops what is kept for a cluster that is gone.
func (p *Plugins) Forget(cluster logicalcluster.Name) {
	p.evaluators.forget(cluster)
	p.converters.kept.Drop(cluster.String())
}

// Bytes returns about how many bytes are kept, and how many may be.
func (p *Plugins) Bytes() (bytes, limit int64) {
	for _, kept := range []interface{ Bytes() (int64, int64) }{p.view, p.evaluators.validators, p.evaluators.mutators, p.converters.kept} {
		b, l := kept.Bytes()
		bytes, limit = bytes+b, limit+l
	}
	return bytes, limit
}

// Mutating returns the plugin that applies mutating policies.
func (p *Plugins) Mutating() admission.MutationInterface {
	// There is nothing to mutate in a deletion.
	return &mutator{admission.NewHandler(admission.Connect, admission.Create, admission.Update), p}
}

// Validating returns the plugin that applies validating policies.
func (p *Plugins) Validating() admission.ValidationInterface {
	return &decider{admission.NewHandler(admission.Connect, admission.Create, admission.Delete, admission.Update), p}
}

type mutator struct {
	*admission.Handler
	*Plugins
}

// Admit implements admission.MutationInterface.
func (m *mutator) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	all, seen, by, err := m.concerning(ctx, a, func(p *policies) int { return len(p.mutating) })
	if all == nil || err != nil {
		return err
	}
	var hooks []mutating.PolicyHook
	for _, b := range all.mutating {
		hook := mutating.PolicyHook{Policy: b.policy, Bindings: b.bindings, Evaluator: m.evaluators.mutator(by, b.policy, b.content)}
		hook.ConfigurationError = hook.Evaluator.Error
		if kind := b.policy.Spec.ParamKind; kind != nil {
			if param, err := m.param(ctx, by, kind, dynamic.Own(a)); err != nil {
				hook.ConfigurationError = err
			} else {
				hook.ParamInformer, hook.ParamScope = informer{objects: param.objects}, param.scope
			}
		}
		hooks = append(hooks, hook)
	}
	manager := &managed{Plugins: m.Plugins, ctx: ctx, cluster: seen.Cluster()}
	return mutating.NewDispatcher(seen, matcherOf(seen), manager).Dispatch(ctx, a, dynamic.Objects(o), hooks)
}

type decider struct {
	*admission.Handler
	*Plugins
}

// Validate implements admission.ValidationInterface.
func (d *decider) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	all, seen, by, err := d.concerning(ctx, a, func(p *policies) int { return len(p.validating) })
	if all == nil || err != nil {
		return err
	}
	var hooks []validating.PolicyHook
	for _, b := range all.validating {
		hook := validating.PolicyHook{Policy: b.policy, Bindings: b.bindings,
			Evaluator: &validator{evaluators: d.evaluators, cluster: by, policy: b.policy, content: b.content}}
		if kind := b.policy.Spec.ParamKind; kind != nil {
			if param, err := d.param(ctx, by, kind, dynamic.Own(a)); err != nil {
				hook.ConfigurationError = err
			} else {
				hook.ParamInformer, hook.ParamScope = informer{objects: param.objects}, param.scope
			}
		}
		hooks = append(hooks, hook)
	}
	return validating.NewDispatcher(seen, generic.NewPolicyMatcher(matcherOf(seen))).Dispatch(ctx, auditing.Annotated(a), dynamic.Objects(o), hooks)
}

// concerning returns the policies that may apply to a, with what they see, and the cluster that they are from; nil if there are none. count says
// how many of them there are.
func (p *Plugins) concerning(ctx context.Context, a admission.Attributes, count func(*policies) int) (*policies, *dynamic.Seen, logicalcluster.Name, error) {
	cluster, concerned := dynamic.Concerns(ctx, a)
	if !concerned {
		return nil, nil, "", nil
	}
	by, err := p.workspace.Decides(ctx, cluster, a)
	if err != nil {
		return nil, nil, "", apistatus.Internal(err)
	}
	all, err := p.view.Get(ctx, by.Cluster)
	if err != nil {
		return nil, nil, "", apistatus.Internal(err)
	}
	if all == nil || count(all) == 0 {
		return nil, nil, "", nil
	}
	seen := p.workspace.Of(ctx, cluster)
	if spared, err := seen.Spared(a, by); spared || err != nil {
		return nil, nil, "", apistatus.Of(err)
	}
	dynamic.Stamp(ctx, a)
	return all, seen, by.Cluster, nil
}

// matcherOf returns a stock matcher that finds the namespaces of the workspace.
func matcherOf(seen *dynamic.Seen) *matching.Matcher {
	return matching.NewMatcher(seen.Lister(), dynamic.Client(func(name string) (*corev1.Namespace, error) {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name) // the lister has looked twice
	}))
}

// managed finds the converter of an object that a mutating policy changes.
type managed struct {
	*Plugins
	ctx     context.Context
	cluster logicalcluster.Name
}

// Run implements patch.TypeConverterManager.
func (m *managed) Run(context.Context) {}

// GetTypeConverter implements patch.TypeConverterManager; nil if nothing is known of kind.
func (m *managed) GetTypeConverter(kind schema.GroupVersionKind) managedfields.TypeConverter {
	sample := &unstructured.Unstructured{}
	sample.SetGroupVersionKind(kind)
	if _, err := m.converters.static.ObjectToTyped(sample); err == nil {
		return m.converters.static
	}
	snapshot, err := m.custom.Catalog.For(m.ctx, m.cluster)
	if err != nil {
		return nil
	}
	for _, resource := range snapshot.Resources() {
		if resource.Group != kind.Group || resource.Kind != kind.Kind || resource.Typed || !serves(resource, kind.Version) {
			continue
		}
		if converter, err := m.converters.of(resource, kind.Version, m.cluster); err == nil {
			return converter
		}
	}
	return nil
}
