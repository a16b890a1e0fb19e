// Composition makes a Database and a Route for each App of all consumers. README.md says how to install it.
package main

import (
	"context"
	"flag"

	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"

	"github.com/annex-dev/annex/client/operator"
	appv1 "github.com/annex-dev/annex/examples/composition/api/v1"
	"github.com/annex-dev/annex/examples/composition/controller"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
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
	common := flags.New(controller.Component)
	slice := flag.String("export", "apps", "Name of the APIExport, and of its APIExportEndpointSlice.")
	if err := common.Parse(); err != nil {
		return err
	}
	m, err := common.Manager(operator.Options{EndpointSlice: *slice}, appv1.AddToScheme, databasev1.AddToScheme, routev1.AddToScheme)
	if err != nil {
		return err
	}
	if err := (&controller.Reconciler{Manager: m}).Setup(); err != nil {
		return err
	}
	return flags.Run(ctx, m)
}
