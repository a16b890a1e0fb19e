// Initializer prepares each new workspace of a WorkspaceType. README.md says how to install it.
package main

import (
	"context"
	"errors"
	"flag"

	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"

	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/examples/flags"
	"github.com/annex-dev/annex/examples/initializer/seed"
)

func main() {
	if err := run(signals.SetupSignalHandler()); err != nil {
		klog.ErrorS(err, "The initializer ends")
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func run(ctx context.Context) error {
	common := flags.New(seed.Component)
	r := &seed.Reconciler{}
	flag.StringVar(&r.Type, "type", "team", "Name of the WorkspaceType, in the provider's workspace.")
	flag.StringVar(&r.Contents.Namespace, "namespace", "apps", "Namespace that each workspace gets.")
	flag.StringVar(&r.Contents.Group, "group", "developers", "Group that may edit the namespace.")
	flag.Int64Var(&r.Contents.ConfigMaps, "configmaps", 100, "How many ConfigMaps the namespace may have.")
	flag.Int64Var(&r.Contents.Secrets, "secrets", 50, "How many Secrets the namespace may have.")
	flag.StringVar(&r.Contents.Help, "help-text", "Ask the platform team.", "Text of the ConfigMap "+seed.ConfigMapName+".")
	if err := common.Parse(); err != nil {
		return err
	}
	if r.Type == "" || r.Contents.Namespace == "" || r.Contents.Group == "" {
		return errors.New("--type, --namespace and --group must not be empty")
	}
	var err error
	if r.Manager, err = common.Manager(operator.Options{Initializer: r.Type}); err != nil {
		return err
	}
	if err := r.Setup(); err != nil {
		return err
	}
	return flags.Run(ctx, r.Manager)
}
