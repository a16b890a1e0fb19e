package integration

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/client/remote"
)

func newWidget() *unstructured.Unstructured {
	w := &unstructured.Unstructured{}
	w.SetGroupVersionKind(widgets.GroupVersion().WithKind("Widget"))
	return w
}

// widgetOperator is a replica of the operator that tests run: for each Widget it makes a ConfigMap and an Event, and says in the status which
// cluster it is in.
type widgetOperator struct {
	*operator.Manager
	reconciled atomic.Int64
	stop       func()
}

func startOperator(t *testing.T, c *claiming, options operator.Options) *widgetOperator {
	t.Helper()
	options.EndpointSlice = "widgets"
	options.Scheme = remote.NewScheme()
	options.Metrics = metricsserver.Options{BindAddress: "0"}
	options.Controller = config.Controller{SkipNameValidation: ptr.To(true)}
	m, err := operator.New(c.s.As(token(provider), c.path), options)
	if err != nil {
		t.Fatal(err)
	}
	o := &widgetOperator{Manager: m}
	if err := m.IndexField(newWidget(), "spec.size", func(obj ctrlclient.Object) []string {
		size, _, _ := unstructured.NestedInt64(obj.(*unstructured.Unstructured).Object, "spec", "size")
		return []string{fmt.Sprint(size)}
	}); err != nil {
		t.Fatal(err)
	}
	if err := operator.ControllerManagedBy(m).For(newWidget()).Owns(&corev1.ConfigMap{}).Complete(operator.Func(o.reconcile)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	stopped := false
	o.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	}
	t.Cleanup(o.stop)
	return o
}

func (o *widgetOperator) reconcile(ctx context.Context, r operator.Request) (reconcile.Result, error) {
	o.reconciled.Add(1)
	cluster, err := o.GetCluster(ctx, r.ClusterName)
	if err != nil {
		return reconcile.Result{}, err
	}
	client, widget := cluster.GetClient(), newWidget()
	if err := client.Get(ctx, r.NamespacedName, widget); err != nil {
		return reconcile.Result{}, ctrlclient.IgnoreNotFound(err)
	}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, client, settings, func() error {
		settings.Data = map[string]string{"cluster": string(r.ClusterName)}
		return controllerutil.SetControllerReference(widget, settings, client.Scheme())
	}); err != nil {
		return reconcile.Result{}, err
	}
	if err := unstructured.SetNestedField(widget.Object, true, "status", "ready"); err != nil {
		return reconcile.Result{}, err
	}
	if err := client.Status().Update(ctx, widget); err != nil {
		return reconcile.Result{}, err
	}
	cluster.GetEventRecorder("widget-operator").Eventf(widget, nil, corev1.EventTypeNormal, "Made", "Make", "made ConfigMap %s", r.Name)
	return reconcile.Result{}, nil
}

// served waits until the operator has done its work for the Widget of a consumer.
func served(t *testing.T, k *consumer, name string) {
	t.Helper()
	eventually(t, "Widget "+name+" of "+k.path+" is served", func(ctx context.Context) (bool, error) {
		w, err := k.Resource(widgets).Namespace("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		ready, _, _ := unstructured.NestedBool(w.Object, "status", "ready")
		cm, err := k.Resource(configMaps).Namespace("default").Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		in, _, _ := unstructured.NestedString(cm.Object, "data", "cluster")
		owner := metav1.GetControllerOf(cm)
		if in != k.cluster || owner == nil || owner.UID != w.GetUID() {
			return false, fmt.Errorf("the ConfigMap in %s is that of %s, owned by %v", k.cluster, in, owner)
		}
		return ready, nil
	})
}

func (k *consumer) widget(t *testing.T, name string, size int) {
	t.Helper()
	create(t, k.Resource(widgets).Namespace("default"), parse(t, fmt.Sprintf(
		"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s, namespace: default}\nspec: {size: %d}", name, size)))
}

// The operator of a provider serves objects of equal names in many workspaces, which a stock manager would mix up, and goes on when one
// replica ends.
func TestOperator_ServesEveryConsumer(t *testing.T) {
	const consumers = 20
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""), claim("", "events", anyVerb, ""))
	admit(t, c.s, c.path, provider)
	elected := func() operator.Options {
		return operator.Options{Options: manager.Options{
			LeaderElection: true, LeaderElectionID: "widget-operator", LeaderElectionNamespace: "default", LeaderElectionReleaseOnCancel: true,
			LeaseDuration: ptr.To(6 * time.Second), RenewDeadline: ptr.To(4 * time.Second), RetryPeriod: ptr.To(200 * time.Millisecond),
		}}
	}
	// Nobody has bound the export, so it has no endpoint yet.
	first := startOperator(t, c, elected())
	<-first.Elected()
	second := startOperator(t, c, elected())
	var all []*consumer
	for range consumers {
		k := c.consumer(accept("", "configmaps", anyVerb, "matchAll: true"), accept("", "events", anyVerb, "matchAll: true"))
		k.widget(t, "same", 1)
		all = append(all, k)
	}
	for _, k := range all {
		served(t, k, "same")
		eventually(t, "the users of "+k.path+" are told", func(ctx context.Context) (bool, error) {
			told, err := k.Resource(coreEvents).Namespace("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=Made"})
			return err == nil && len(told.Items) == 1, err
		})
	}
	if n := second.reconciled.Load(); n > 0 {
		t.Errorf("the replica that is not the leader reconciled %d times", n)
	}

	// Owned objects are watched, in their own workspace.
	if err := all[7].Resource(configMaps).Namespace("default").Delete(t.Context(), "same", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	served(t, all[7], "same")

	// The other replica takes over with what it has seen.
	first.stop()
	all[3].widget(t, "late", 2)
	served(t, all[3], "late")
	if second.reconciled.Load() == 0 {
		t.Error("nobody has taken over")
	}
	in := second.In(logicalcluster.Name(all[3].cluster))
	for size, want := range map[string]string{"1": "same", "2": "late"} {
		var found unstructured.UnstructuredList
		found.SetGroupVersionKind(widgets.GroupVersion().WithKind("WidgetList"))
		if err := in.List(t.Context(), &found, ctrlclient.InNamespace("default"), ctrlclient.MatchingFields{"spec.size": size}); err != nil {
			t.Fatal(err)
		}
		if len(found.Items) != 1 || found.Items[0].GetName() != want || found.Items[0].GetManagedFields() != nil {
			t.Errorf("of size %s are %v", size, found.Items)
		}
	}
	head := &metav1.PartialObjectMetadata{}
	head.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	if err := in.Get(t.Context(), ctrlclient.ObjectKey{Namespace: "default", Name: "late"}, head); err != nil || head.Kind != "ConfigMap" || metav1.GetControllerOf(head) == nil {
		t.Errorf("metadata only: %v, %v", head, err)
	}

	// A provider reaches consumers, and nobody else.
	_, cluster := newWorkspace(t, c.s, "root", uniqueName("stranger"))
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "forged"}}
	if err := second.In(logicalcluster.Name(cluster)).Create(t.Context(), foreign); err == nil {
		t.Error("the operator writes where nobody has bound its export")
	}
	for _, name := range []logicalcluster.Name{"", "*", "../x", "root:org"} {
		if _, err := second.GetCluster(t.Context(), name); err == nil {
			t.Errorf("%q is a cluster", name)
		}
	}

	// A restart finds everything, and changes nothing.
	second.stop()
	third := startOperator(t, c, operator.Options{})
	eventually(t, "all is reconciled again", func(context.Context) (bool, error) { return third.reconciled.Load() >= consumers+1, nil })
	for _, k := range all {
		served(t, k, "same")
	}
}
