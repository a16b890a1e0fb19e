// Program controllers runs the controllers of cert-manager or trust-manager outside of a cluster. Both are the packages of the projects,
// unchanged: cert-manager's own program is no module that can be downloaded, and that of trust-manager finds the namespace of its lease
// only inside a pod. Like those programs it elects a leader, and it ends when it is the leader no longer.
//
// cert-manager is built on generated clients and shared informers, trust-manager on a manager of controller-runtime that writes by
// server-side apply. Together they use most of what operators use.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags of both programs.
type options struct {
	kubeconfig string
	// namespace holds the lease, and what cluster-scoped objects refer to.
	namespace string
	// lease is how long nobody else leads after the last sign of life of a leader.
	lease time.Duration
}

// retries is how often a leader renews its lease while that lasts.
const retries = 5

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	programs := map[string]func(context.Context, options) error{"cert-manager": certManager, "trust-manager": trustManager}
	if len(args) == 0 || programs[args[0]] == nil {
		return errors.New("the first argument must be cert-manager or trust-manager")
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the credentials")
	flags.StringVar(&o.namespace, "namespace", "cert-manager", "the namespace of the lease and of what cluster-scoped objects refer to")
	flags.DurationVar(&o.lease, "lease", 15*time.Second, "how long nobody else leads after the last sign of life of a leader")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return programs[args[0]](ctx, o)
}
