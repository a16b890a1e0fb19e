package interleaving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/apis/claims"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// check returns an error while something is not as the specs say.
func (s *sharing) check(ctx context.Context) error {
	var export *apisv1alpha2.APIExport
	if !s.left {
		var err error
		if export, err = read[apisv1alpha2.APIExport](ctx, s.walk, s.path(), exports); err != nil {
			return err
		}
	}
	seen := map[schema.GroupVersionResource][]string{}
	for _, k := range s.consumers {
		binding, err := read[apisv1alpha2.APIBinding](ctx, s.walk, k.path, bindings)
		if err != nil {
			return err
		}
		if err := s.checkBinding(ctx, k, binding, export); err != nil {
			return fmt.Errorf("in %s: %w", k.path, err)
		}
		if binding == nil || export == nil {
			continue
		}
		for _, gvr := range slices.Concat(shareable, claimable) {
			names, err := s.visible(ctx, k, gvr, binding, export)
			if err != nil {
				return err
			}
			seen[gvr] = append(seen[gvr], names...)
		}
	}
	if export == nil {
		return s.checkNothing(ctx)
	}
	for _, gvr := range slices.Concat(shareable, claimable) {
		got, err := s.asProvider(ctx, gvr)
		if err != nil {
			return err
		}
		want := seen[gvr]
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("the provider sees %s %v, and should see %v", gvr.Resource, got, want)
		}
	}
	return nil
}

// checkNothing returns an error if the endpoint of an export that is gone shows something.
func (s *sharing) checkNothing(ctx context.Context) error {
	for _, gvr := range slices.Concat(shareable, claimable) {
		if got, err := s.asProvider(ctx, gvr); err != nil || len(got) > 0 {
			return fmt.Errorf("the export is gone, and its endpoint shows %s %v: %w", gvr.Resource, got, err)
		}
	}
	return nil
}

// checkServed returns an error if a bound resource of a workspace is not served.
func (s *sharing) checkServed(ctx context.Context, k consumer, binding *apisv1alpha2.APIBinding) error {
	for _, bound := range binding.Status.BoundResources {
		for _, gvr := range shareable {
			if gvr.Resource != bound.Resource {
				continue
			}
			if _, err := s.count(ctx, k, gvr); err != nil {
				return fmt.Errorf("%s is bound, and not served: %w", gvr.Resource, err)
			}
		}
	}
	return nil
}

// checkClaims returns an error if the status says that something is applied which the consumer does not accept.
func checkClaims(binding *apisv1alpha2.APIBinding) error {
	for i := range binding.Status.AppliedPermissionClaims {
		key := claims.KeyOf(&binding.Status.AppliedPermissionClaims[i].PermissionClaim)
		if is := lifecycle.OfClaim(binding, key); is != lifecycle.Applied {
			return fmt.Errorf("the claim %s is applied, and %s", key, is)
		}
	}
	return nil
}

// read returns the object called things; nil if there is none.
func read[T any](ctx context.Context, w *walk, path string, gvr schema.GroupVersionResource) (*T, error) {
	client, err := w.client(path, gvr, "")
	if err != nil {
		return nil, err
	}
	obj, err := client.Get(ctx, "things", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return typed[T](obj)
}

func typed[T any](obj *unstructured.Unstructured) (*T, error) {
	into := new(T)
	return into, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, into)
}

// checkBinding returns an error if the status of a binding says something else than its spec, the export and the content of the workspace.
func (s *sharing) checkBinding(ctx context.Context, k consumer, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) error {
	if binding == nil {
		return nil
	}
	if binding.DeletionTimestamp != nil {
		return fmt.Errorf("the binding is being deleted: %v", binding.Status.Conditions)
	}
	if err := errors.Join(checkClaims(binding), s.checkServed(ctx, k, binding)); err != nil {
		return err
	}
	valid := conditionsv1alpha1.IsTrue(binding, apisv1alpha2.APIExportValid)
	if valid != (export != nil) {
		return fmt.Errorf("APIExportValid is %t, and there is an export: %t", valid, export != nil)
	}
	if export == nil {
		return nil // what was bound stays
	}
	rivals, err := s.client(k.path, crds, "")
	if err != nil {
		return err
	}
	_, err = rivals.Get(ctx, "trinkets.example.com", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	contested := err == nil
	upToDate := true
	for _, gvr := range shareable {
		offered := ""
		for _, r := range export.Spec.Resources {
			if r.Name == gvr.Resource {
				offered = r.Schema
			}
		}
		bound := lifecycle.Resource(binding, gvr.GroupResource())
		switch {
		case offered == "" && bound != nil:
			n, err := s.count(ctx, k, gvr)
			if n == 0 || err != nil {
				return fmt.Errorf("%s is bound, is not offered, and has %d objects: %w", gvr.Resource, n, err)
			}
		case offered != "" && bound == nil && gvr == trinkets && contested:
			upToDate = false
		case offered != "" && (bound == nil || bound.Schema.Name != offered):
			return fmt.Errorf("%s is offered with schema %s, and bound as %v", gvr.Resource, offered, bound)
		}
	}
	if is := lifecycle.Of(binding); (is == lifecycle.Bound) != upToDate {
		return fmt.Errorf("the binding is %s: %v", is, binding.Status.Conditions)
	}
	return nil
}

// count returns how many objects there are.
func (s *sharing) count(ctx context.Context, k consumer, gvr schema.GroupVersionResource) (int, error) {
	client, err := s.client(k.path, gvr, "default")
	if err != nil {
		return 0, err
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

// visible returns what the provider should see of a resource in a workspace, from what is in there.
func (s *sharing) visible(ctx context.Context, k consumer, gvr schema.GroupVersionResource, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) ([]string, error) {
	selector, some := labels.Everything(), lifecycle.Resource(binding, gvr.GroupResource()) != nil &&
		slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Name == gvr.Resource })
	if slices.Contains(claimable, gvr) {
		selector, some = accepted(gvr.Resource, binding, export)
	}
	if !some {
		return nil, nil
	}
	client, err := s.client(k.path, gvr, "default")
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	return named(k.cluster, list.Items), nil
}

// accepted returns which objects of a claimed resource the provider may list; false for none.
func accepted(resource string, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport) (labels.Selector, bool) {
	lists := func(verbs []string) bool { return slices.Contains(verbs, "*") || slices.Contains(verbs, "list") }
	for _, claim := range export.Spec.PermissionClaims {
		for _, answer := range binding.Spec.PermissionClaims {
			if claim.Resource != resource || answer.Resource != resource || answer.State != apisv1alpha2.ClaimAccepted || !lists(claim.Verbs) || !lists(answer.Verbs) {
				continue
			}
			if answer.Selector.MatchAll {
				return labels.Everything(), true
			}
			return labels.SelectorFromSet(answer.Selector.MatchLabels), true
		}
	}
	return nil, false
}

// named returns objects as cluster/name, without what the workspace has from the beginning.
func named(cluster string, objects []unstructured.Unstructured) []string {
	var names []string
	for i := range objects {
		if obj := &objects[i]; !strings.HasPrefix(obj.GetName(), "kube-") && obj.GetNamespace() == "default" {
			at := cluster
			if at == "" {
				at = obj.GetAnnotations()["kcp.io/cluster"]
			}
			names = append(names, at+"/"+obj.GetName())
		}
	}
	return names
}

// asProvider returns what the endpoint of the export shows of a resource in all workspaces. What is not served shows nothing.
func (s *sharing) asProvider(ctx context.Context, gvr schema.GroupVersionResource) ([]string, error) {
	config := rest.CopyConfig(s.at(s.path()))
	base, _, _ := strings.Cut(config.Host, "/clusters/")
	config.Host = base + "/services/apiexport/" + s.cluster + "/things/clusters/*"
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	list, err := client.Resource(gvr).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := named("", list.Items)
	slices.Sort(names)
	return names, nil
}
