package census

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/utils/clock"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
)

var (
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	bindings        = apisv1alpha2.Resource("apibindings")
	exports         = apisv1alpha2.Resource("apiexports")
)

// phases are those of workspaces and of logical clusters.
var phases = []string{
	string(corev1alpha1.LogicalClusterPhaseScheduling), string(corev1alpha1.LogicalClusterPhaseInitializing), string(corev1alpha1.LogicalClusterPhaseReady),
	string(corev1alpha1.LogicalClusterPhaseUnavailable), string(corev1alpha1.LogicalClusterPhaseInactive),
	string(corev1alpha1.LogicalClusterPhaseTerminating), string(corev1alpha1.LogicalClusterPhaseDeleting),
}

// Census counts objects. It is safe for concurrent use.
type Census struct {
	basemetrics.BaseStableCollector
	reader client.Reader
	clock  clock.PassiveClock
	shard  string

	tallies map[schema.GroupResource]*tally
	// byPhase and byCondition are the metrics of each kind; ready says how long its objects take to be ready.
	byPhase, byCondition map[schema.GroupResource]*basemetrics.Desc
	ready                map[schema.GroupResource]*basemetrics.HistogramVec
}

var _ basemetrics.StableCollector = &Census{}

// New returns a census of what reader watches, for the shard with the given name.
func New(reader client.Reader, clock clock.PassiveClock, shard string) *Census {
	gauge := func(name, help string, labels ...string) *basemetrics.Desc {
		return basemetrics.NewDesc("kcp_"+name, help, append([]string{"shard"}, labels...), nil, basemetrics.ALPHA, "")
	}
	took := func(name, help string) *basemetrics.HistogramVec {
		return basemetrics.NewHistogramVec(&basemetrics.HistogramOpts{
			Name: "kcp_" + name, Help: help, Buckets: []float64{100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000}, StabilityLevel: basemetrics.ALPHA,
		}, []string{"shard"})
	}
	return &Census{
		reader: reader, clock: clock, shard: shard,
		tallies: map[schema.GroupResource]*tally{
			workspaces:      newTally(phases, nil),
			logicalClusters: newTally(phases, nil),
			bindings: newTally([]string{string(apisv1alpha2.APIBindingPhaseBinding), string(apisv1alpha2.APIBindingPhaseBound)}, []conditionsv1alpha1.ConditionType{
				conditionsv1alpha1.ReadyCondition, apisv1alpha2.APIExportValid, apisv1alpha2.InitialBindingCompleted, apisv1alpha2.BindingUpToDate,
				apisv1alpha2.BindingResourceDeleteSuccess, apisv1alpha2.PermissionClaimsValid, apisv1alpha2.PermissionClaimsApplied,
			}),
			exports: newTally(nil, []conditionsv1alpha1.ConditionType{
				conditionsv1alpha1.ReadyCondition, apisv1alpha2.APIExportIdentityValid, apisv1alpha2.APIExportVirtualWorkspaceURLsReady, apisv1alpha2.APIExportSchemasValid,
			}),
		},
		byPhase: map[schema.GroupResource]*basemetrics.Desc{
			workspaces:      gauge("workspace_count", "Workspaces in each phase.", "phase"),
			logicalClusters: gauge("logicalcluster_count", "Logical clusters in each phase.", "phase"),
			bindings:        gauge("apibinding_phase", "APIBindings in each phase.", "phase"),
		},
		byCondition: map[schema.GroupResource]*basemetrics.Desc{
			bindings: gauge("apibinding_condition_status", "APIBindings with each status of each condition.", "condition", "status"),
			exports:  gauge("apiexport_condition_status", "APIExports with each status of each condition.", "condition", "status"),
		},
		ready: map[schema.GroupResource]*basemetrics.HistogramVec{
			bindings: took("apibinding_ready_duration_ms", "Milliseconds from the creation of an APIBinding until it is ready."),
			exports:  took("apiexport_ready_duration_ms", "Milliseconds from the creation of an APIExport until it is ready."),
		},
	}
}

// Register makes the metrics known, for example with legacyregistry.Register and legacyregistry.CustomRegister.
func (c *Census) Register(register func(basemetrics.Registerable) error, custom func(basemetrics.StableCollector) error) error {
	if err := custom(c); err != nil {
		return fmt.Errorf("registering the metrics of phases: %w", err)
	}
	for _, histogram := range c.ready {
		if err := register(histogram); err != nil {
			return fmt.Errorf("registering the metrics of phases: %w", err)
		}
	}
	return nil
}

// Run follows changes until ctx ends.
func (c *Census) Run(ctx context.Context) error {
	return follow.All(ctx, c.reader, []schema.GroupResource{workspaces, logicalClusters, bindings, exports}, c.see)
}

// see takes in an event of a resource.
func (c *Census) see(resource schema.GroupResource, event client.Event) {
	t := c.tallies[resource]
	ready := t.see(event, func() state { return stateOf(t, event.Object) })
	if histogram := c.ready[resource]; ready && histogram != nil {
		histogram.WithLabelValues(c.shard).Observe(float64(c.clock.Since(event.Object.GetCreationTimestamp().Time).Milliseconds()))
	}
}

// stateOf returns what t counts of an object.
func stateOf(t *tally, obj client.Object) state {
	switch obj := obj.(type) {
	case *tenancyv1alpha1.Workspace:
		return t.of(string(obj.Status.Phase), nil)
	case *corev1alpha1.LogicalCluster:
		return t.of(string(obj.Status.Phase), nil)
	case *apisv1alpha2.APIBinding:
		return t.of(string(obj.Status.Phase), obj.Status.Conditions)
	case *apisv1alpha2.APIExport:
		return t.of("", obj.Status.Conditions)
	}
	return state{}
}

// DescribeWithStability implements metrics.StableCollector.
func (c *Census) DescribeWithStability(out chan<- *basemetrics.Desc) {
	for _, all := range []map[schema.GroupResource]*basemetrics.Desc{c.byPhase, c.byCondition} {
		for _, desc := range all {
			out <- desc
		}
	}
}

// CollectWithStability implements metrics.StableCollector.
func (c *Census) CollectWithStability(out chan<- basemetrics.Metric) {
	for resource, t := range c.tallies {
		sums := t.read()
		if desc := c.byPhase[resource]; desc != nil {
			for i, phase := range t.phases {
				out <- basemetrics.NewLazyConstMetric(desc, basemetrics.GaugeValue, float64(sums.phases[i]), c.shard, phase)
			}
		}
		if desc := c.byCondition[resource]; desc != nil {
			for i, condition := range t.conditions {
				for j, status := range statuses {
					if status != "" {
						out <- basemetrics.NewLazyConstMetric(desc, basemetrics.GaugeValue, float64(sums.conditions[i][j]), c.shard, string(condition), string(status))
					}
				}
			}
		}
	}
}
