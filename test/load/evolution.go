package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

var (
	changeReports = schema.GroupVersionResource{Group: "annex.dev", Version: "v1alpha1", Resource: "apichangereports"}
	rollouts      = schema.GroupVersionResource{Group: "annex.dev", Version: "v1alpha1", Resource: "apiexportrollouts"}
)

const (
	// nextSchemaName is the schema that breaks consumers.
	nextSchemaName = "v2.widgets.load.example.com"
	// allowBreaking is the annotation of an export that lets it name such a schema.
	allowBreaking = "annex.dev/allow-breaking-change"
	// waveOf is how many consumers a wave may list.
	waveOf = 1000
	// lookAgain is how long after a stop consumers are looked at again.
	lookAgain = 5 * time.Second
)

// measureEvolution tells what a breaking change of an API with many consumers
// costs: how soon a report names the objects that it makes invalid, and whether
// these are the ones that the program finds itself, with the validation of stock
// kube-apiserver; how soon a rollout in waves stops at the first consumer that
// fails, and who has the new schema then; and how soon all are back.
func measureEvolution(ctx context.Context, b *bench) error {
	if err := b.startFresh(ctx, "evolution"); err != nil {
		return err
	}
	c, err := crowd.Connect(b.target.privileged)
	if err != nil {
		return err
	}
	defer c.Close()
	e := &evolution{bench: b, connection: c, crops: cropsOf(b.opts.evolutionConsumers, b.opts.evolutionObjects)}
	for _, step := range []struct {
		doing string
		do    func(context.Context) error
	}{
		{"making consumers", e.fill}, {"reporting a change", e.measureReport}, {"rolling a change out", e.measureRollout}, {"taking a change back", e.measureUndo},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.doing, err)
		}
	}
	return nil
}

// evolution is an export with consumers, some of which the next schema breaks.
type evolution struct {
	*bench
	connection *crowd.Connection
	crops      crops
	provider   *provider
	workspace  dynamic.Interface // of the provider
	all        dynamic.Interface // the provider's endpoint for all consumers
	clusters   []string
	// waves are the clusters of consumers by wave. The last of the second one is the first that fails.
	waves [3][]string
}

// fill makes the consumers and their objects.
func (e *evolution) fill(ctx context.Context) error {
	var err error
	if e.provider, err = e.needProvider(ctx); err != nil {
		return err
	}
	if e.workspace, err = e.connection.Cluster(e.provider.path()); err != nil {
		return err
	}
	names, _, _, err := e.makeWorkspaces(ctx, "consumer", e.crops.consumers, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		return e.provider.bind(ctx, client, name)
	})
	if err != nil {
		return err
	}
	if e.clusters, err = e.clustersOf(ctx, names); err != nil {
		return err
	}
	// An export without consumers has no endpoint.
	url, err := e.provider.endpoint(ctx, e.connection)
	if err != nil {
		return err
	}
	if e.all, err = e.connection.At(crowd.ClusterURL(url, "*")); err != nil {
		return err
	}
	number := map[string]int{}
	for i, name := range names {
		number[name] = i
	}
	if err := e.inWorkspaces(ctx, names, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		for i := range e.crops.each {
			if err := createServed(ctx, client.Resource(widgets), e.crops.object(number[name], i)); err != nil {
				return fmt.Errorf("in workspace %q: %w", name, err)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	_, err = e.workspace.Resource(schemas).Create(ctx, newNextSchema(), metav1.CreateOptions{})
	return err
}

// measureReport is from the call that creates a report to its completion. It is
// an error if the report does not name what the program finds itself.
func (e *evolution) measureReport(ctx context.Context) error {
	report := newObject(changeReports, "APIChangeReport", "next", map[string]any{
		"spec": map[string]any{"export": exportName, "schemas": []any{nextSchemaName}},
	})
	start := time.Now()
	if _, err := e.workspace.Resource(changeReports).Create(ctx, report, metav1.CreateOptions{}); err != nil {
		return err
	}
	found, err := awaitAnyTime(ctx, e.workspace.Resource(changeReports), "next", func(obj *unstructured.Unstructured) bool {
		phase := stringAt(obj, "status", "phase")
		return phase == "Complete" || phase == "Failed"
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	if phase := stringAt(found, "status", "phase"); phase != "Complete" {
		return fmt.Errorf("it is %s: %v", phase, found.Object["status"])
	}
	reported, err := reportedBy(found)
	if err != nil {
		return err
	}
	judge, err := newJudge(newNextSchema())
	if err != nil {
		return err
	}
	start = time.Now()
	invalid, checked, err := judge.all(ctx, e.all.Resource(widgets))
	if err != nil {
		return fmt.Errorf("validating all objects: %w", err)
	}
	e.report.add("evolution_report", took.Seconds(), unitSeconds)
	e.report.add("evolution_own_validation", time.Since(start).Seconds(), unitSeconds)
	missing, extra := difference(invalid, reported), difference(reported, invalid)
	e.report.add("evolution_objects", float64(checked), unitCount)
	e.report.add("evolution_invalid", float64(len(invalid)), unitCount)
	e.report.add("evolution_reported_missing", float64(len(missing)), unitCount)
	e.report.add("evolution_reported_extra", float64(len(extra)), unitCount)
	seen := numberAt(found, "status", "objects", "checked")
	switch {
	case len(missing)+len(extra) > 0:
		return fmt.Errorf("the report names other objects than the validation finds: it lacks %d, such as %q, and has %d more, such as %q",
			len(missing), firstOf(missing), len(extra), firstOf(extra))
	case checked != e.crops.consumers*e.crops.each || seen != int64(checked):
		return fmt.Errorf("there are %d objects, the program has found %d, and the report %d", e.crops.consumers*e.crops.each, checked, seen)
	case len(invalid) != e.crops.invalid():
		return fmt.Errorf("%d objects are invalid, want %d", len(invalid), e.crops.invalid())
	}
	return nil
}

// plan divides the consumers into waves: a tenth that can follow, a fifth of which the
// last one cannot, and the rest, some of which cannot either.
func (e *evolution) plan() {
	tenth, fifth := min(max(e.crops.consumers/10, 1), waveOf), min(max(e.crops.consumers/5, 2), waveOf)
	var failing string
	for i, cluster := range e.clusters {
		switch bad := e.crops.bad(i); {
		case bad && failing == "":
			failing = cluster
		case !bad && len(e.waves[0]) < tenth:
			e.waves[0] = append(e.waves[0], cluster)
		case !bad && len(e.waves[1]) < fifth-1:
			e.waves[1] = append(e.waves[1], cluster)
		default:
			e.waves[2] = append(e.waves[2], cluster)
		}
	}
	e.waves[1] = append(e.waves[1], failing)
}

// measureRollout is from the change of the export until the rollout has stopped
// by itself. It is an error if it does not stop, or if a consumer of a later wave
// has the new schema then.
func (e *evolution) measureRollout(ctx context.Context) error {
	e.plan()
	rollout := newObject(rollouts, "APIExportRollout", exportName, map[string]any{
		"spec": map[string]any{"waves": []any{map[string]any{"clusters": anyOf(e.waves[0])}, map[string]any{"clusters": anyOf(e.waves[1])}}},
	})
	if _, err := e.workspace.Resource(rollouts).Create(ctx, rollout, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := e.rolloutIs(ctx, 1, "Complete"); err != nil {
		return err
	}
	start := time.Now()
	if err := e.patch(ctx, exports, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{allowBreaking: nextSchemaName}},
		"spec":     map[string]any{"resources": []any{offered(widgets.Resource, nextSchemaName)}},
	}); err != nil {
		return err
	}
	stopped, err := e.rolloutIs(ctx, 2, "Stopped")
	if err != nil {
		return err
	}
	e.report.add("evolution_rollout_stopped", time.Since(start).Seconds(), unitSeconds)
	atOnce, err := e.updated(ctx)
	if err != nil {
		return err
	}
	if err := crowd.Sleep(ctx, lookAgain); err != nil {
		return err
	}
	later, err := e.updated(ctx)
	if err != nil {
		return err
	}
	count := func(which []string, updated map[string]bool) (n int) {
		for _, cluster := range which {
			if updated[cluster] {
				n++
			}
		}
		return n
	}
	failing := e.waves[1][len(e.waves[1])-1:]
	beyond := count(e.waves[2], later) + count(failing, later)
	e.report.add("evolution_updated_before", float64(len(later)-beyond), unitCount)
	e.report.add("evolution_updated_after_stop", float64(len(later)-len(atOnce)), unitCount)
	e.report.add("evolution_updated_later", float64(beyond), unitCount)
	switch wave := numberAt(stopped, "status", "wave"); {
	case wave != 2:
		return fmt.Errorf("the rollout has stopped in wave %d, want 2", wave)
	case beyond > 0:
		return fmt.Errorf("%d consumers have the new schema that come after the one that failed, or are that one", beyond)
	case count(e.waves[0], later) != len(e.waves[0]):
		return fmt.Errorf("%d of %d consumers of the first wave have the new schema", count(e.waves[0], later), len(e.waves[0]))
	}
	return nil
}

// measureUndo is from the call that undoes the change until all consumers are back.
func (e *evolution) measureUndo(ctx context.Context) error {
	start := time.Now()
	if err := e.patch(ctx, rollouts, map[string]any{"spec": map[string]any{"undo": int64(2)}}); err != nil {
		return err
	}
	if _, err := e.rolloutIs(ctx, 2, "Undone"); err != nil {
		return err
	}
	e.report.add("evolution_undone", time.Since(start).Seconds(), unitSeconds)
	left, err := e.updated(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d consumers still have the new schema", len(left))
	}
	return err
}

// rolloutIs waits until the rollout is in a phase of a revision.
func (e *evolution) rolloutIs(ctx context.Context, revision int64, phase string) (*unstructured.Unstructured, error) {
	found, err := awaitAnyTime(ctx, e.workspace.Resource(rollouts), exportName, func(obj *unstructured.Unstructured) bool {
		now := stringAt(obj, "status", "phase")
		return numberAt(obj, "status", "revision") == revision && (now == phase || now == "Complete")
	})
	if err != nil {
		return nil, err
	}
	if now := stringAt(found, "status", "phase"); now != phase {
		return nil, fmt.Errorf("the rollout is %s, and was to be %s", now, phase)
	}
	return found, nil
}

// patch changes the export, or the rollout, which has its name.
func (e *evolution) patch(ctx context.Context, resource schema.GroupVersionResource, change map[string]any) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = e.workspace.Resource(resource).Patch(ctx, exportName, types.MergePatchType, body, metav1.PatchOptions{})
	return err
}

// updated returns the clusters whose bindings have the next schema.
func (e *evolution) updated(ctx context.Context) (map[string]bool, error) {
	updated, known := map[string]bool{}, 0
	_, _, err := listOnce(ctx, e.all.Resource(bindings), metav1.ListOptions{}, observer{listed: func(p part) bool {
		for i := range p.items {
			known++
			bound, _, _ := unstructured.NestedSlice(p.items[i].Object, "status", "boundResources")
			for _, r := range bound {
				entry, _ := r.(map[string]any)
				if name, _, _ := unstructured.NestedString(entry, "schema", "name"); name == nextSchemaName {
					updated[clusterOf(&p.items[i])] = true
				}
			}
		}
		return false
	}})
	if err == nil && known != len(e.clusters) {
		err = fmt.Errorf("the endpoint shows %d bindings, want %d", known, len(e.clusters))
	}
	return updated, err
}

// reportedBy returns the objects that a report names, as the keys of the judge.
func reportedBy(report *unstructured.Unstructured) (map[string]bool, error) {
	list, _, err := unstructured.NestedSlice(report.Object, "status", "invalidObjects")
	if err != nil {
		return nil, err
	}
	reported := map[string]bool{}
	for _, item := range list {
		entry, _ := item.(map[string]any)
		cluster, _ := entry["cluster"].(string)
		name, _ := entry["name"].(string)
		if errs, _ := entry["errors"].([]any); len(errs) == 0 {
			return nil, errors.New("an object is invalid for no reason")
		}
		reported[judged(cluster, name)] = true
	}
	if n := numberAt(report, "status", "objects", "invalid"); n != int64(len(reported)) {
		return nil, fmt.Errorf("the report counts %d objects, and names %d", n, len(reported))
	}
	return reported, nil
}
