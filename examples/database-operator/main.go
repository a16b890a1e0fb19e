// Database-operator makes databases in a PostgreSQL server for the Databases of all consumers. README.md says how to install it.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"

	"github.com/annex-dev/annex/client/operator"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/controller"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
	"github.com/annex-dev/annex/examples/flags"
)

func main() {
	if err := run(signals.SetupSignalHandler()); err != nil {
		klog.ErrorS(err, "The operator ends")
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func run(ctx context.Context) error {
	common := flags.New(controller.Component)
	slice := flag.String("export", "databases", "Name of the APIExport, and of its APIExportEndpointSlice.")
	host := flag.String("public-host", "", "Name or address of the PostgreSQL server for consumers. Empty: that in the URI.")
	port := flag.Uint("public-port", 0, "Port of the PostgreSQL server for consumers. 0: that in the URI.")
	grace := flag.Duration("grace-period", 5*time.Minute, "How long the previous password stays valid after a new one is in the Secret.")
	if err := common.Parse(); err != nil {
		return err
	}
	uri := os.Getenv("POSTGRESQL_URI")
	if uri == "" {
		return errors.New("set POSTGRESQL_URI, such as postgresql://operator:password@db.example.com/postgres")
	}
	if *port > 65535 || *grace < 0 {
		return errors.New("--public-port is at most 65535, and --grace-period not negative")
	}
	server, err := postgres.Open(ctx, uri)
	if err != nil {
		return err
	}
	defer server.Close()
	m, err := common.Manager(operator.Options{EndpointSlice: *slice}, databasev1.AddToScheme)
	if err != nil {
		return err
	}
	r := &controller.Reconciler{Manager: m, Server: server, Clock: clock.RealClock{}, Grace: *grace}
	r.Host, r.Port = server.Address()
	if *host != "" {
		r.Host = *host
	}
	if *port != 0 {
		r.Port = uint16(*port)
	}
	if err := r.Setup(); err != nil {
		return err
	}
	return flags.Run(ctx, m)
}
