// Route-operator gives each Route of all consumers an address. It is the smallest operator of the examples: README.md says how to install it.
package main

import (
	"context"
	"flag"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/examples/flags"
	routev1 "github.com/annex-dev/annex/examples/route-operator/api/v1"
)

func main() {
	if err := run(signals.SetupSignalHandler()); err != nil {
		klog.ErrorS(err, "The operator ends")
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func run(ctx context.Context) error {
	common := flags.New("route-operator")
	domain := flag.String("domain", "example.com", "Domain of all addresses.")
	if err := common.Parse(); err != nil {
		return err
	}
	m, err := common.Manager(operator.Options{EndpointSlice: "routes"}, routev1.AddToScheme)
	if err != nil {
		return err
	}
	if err := operator.ControllerManagedBy(m).For(&routev1.Route{}).Complete(router{m, *domain}); err != nil {
		return err
	}
	return flags.Run(ctx, m)
}

// router reconciles Routes.
type router struct {
	*operator.Manager
	domain string
}

// Reconcile implements operator.Reconciler. Two consumers may want the same host, so the address has the name of the cluster, too.
func (r router) Reconcile(ctx context.Context, request operator.Request) (reconcile.Result, error) {
	in, route := r.In(request.ClusterName), &routev1.Route{}
	if err := in.Get(ctx, request.NamespacedName, route); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	before := route.DeepCopy()
	route.Status.URL = fmt.Sprintf("https://%s.%s.%s", route.Spec.Host, request.ClusterName, r.domain)
	meta.SetStatusCondition(&route.Status.Conditions, metav1.Condition{
		Type: routev1.Ready, Status: metav1.ConditionTrue, Reason: "Published", Message: "The address leads to the workspace.", ObservedGeneration: route.Generation,
	})
	if equality.Semantic.DeepEqual(before.Status, route.Status) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(in.Status().Patch(ctx, route, client.MergeFrom(before)))
}
