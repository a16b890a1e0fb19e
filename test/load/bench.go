package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/hostile"
)

// cleanupTimeout bounds the removal of what the figures have made.
const cleanupTimeout = 5 * time.Minute

// bench is one run of the program: the servers and what figures share.
type bench struct {
	opts    options
	figures []figure // those of this run
	report  *report
	log     io.Writer
	// id is part of all names, so that runs do not meet each other's objects.
	id string

	target   *target      // the server with workspaces, nil when there is none
	plain    *rest.Config // the plain kube-apiserver, nil when there is none
	server   *server      // the process behind target when we started it, else nil
	host     *host.Host   // the process behind plain when we started it, else nil
	dir      string       // temporary directory of server and host
	fleet    fleet
	provider provider
	hostPath hostPath

	mu      sync.Mutex
	created []string // names of workspaces under root that close removes
}

// newBench connects to the servers, and starts those that the options ask to
// start. The caller closes it.
func newBench(ctx context.Context, o options, figures []figure, r *report, log io.Writer) (*bench, error) {
	b := &bench{opts: o, figures: figures, report: r, log: log, id: "bench-" + rand.String(5)}
	if err := b.connect(ctx); err != nil {
		return nil, errors.Join(err, b.close(context.WithoutCancel(ctx)))
	}
	return b, nil
}

func (b *bench) connect(ctx context.Context) error {
	var err error
	if b.opts.serverBinary != "" || b.opts.startPlain {
		if b.dir, err = os.MkdirTemp("", "annex-load-"); err != nil {
			return fmt.Errorf("making a directory for the servers: %w", err)
		}
	}
	switch {
	case b.opts.startPlain:
		// With fsync, since the comparison is about durable writes.
		if b.host, err = host.Run(ctx, b.dir+"/plain"); err != nil {
			return fmt.Errorf("starting a plain kube-apiserver: %w", err)
		}
		b.plain = b.host.Config()
	case b.opts.plainKubeconfig != "":
		if b.plain, err = loadPlain(b.opts.plainKubeconfig); err != nil {
			return fmt.Errorf("connecting to the plain kube-apiserver: %w", err)
		}
	}
	switch {
	case b.opts.serverBinary != "":
		if b.server, err = newServer(ctx, b.opts, b.dir+"/server"); err != nil {
			return fmt.Errorf("preparing the server: %w", err)
		}
		if b.measures("webhook") {
			b.server.args = append(b.server.args, "--webhook-allow-cidr", webhookNetwork)
		}
		if b.measures("hostile") {
			if err := b.server.letIn(hostile.TokenFile); err != nil {
				return err
			}
		}
		return b.startServer(ctx)
	case b.opts.kubeconfig != "":
		b.target, err = loadTarget(b.opts.kubeconfig, b.opts.context, b.opts.privilegedContext)
		if err != nil {
			return fmt.Errorf("connecting to the server: %w", err)
		}
	}
	return nil
}

// startServer starts our server and reads its kubeconfig, whose tokens change
// with each start.
func (b *bench) startServer(ctx context.Context) error {
	if err := b.server.start(ctx); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	t, err := loadTarget(b.server.kubeconfig(), b.opts.context, b.opts.privilegedContext)
	if err != nil {
		return fmt.Errorf("connecting to the server: %w", err)
	}
	b.target = t
	return nil
}

// startFresh replaces our server by one in a new directory that is called name.
// What figures share is gone then, so only the last ones may.
func (b *bench) startFresh(ctx context.Context, name string) error {
	b.stopServer()
	var err error
	if b.server, err = newServer(ctx, b.opts, filepath.Join(b.dir, name)); err != nil {
		return fmt.Errorf("preparing a server: %w", err)
	}
	b.fleet, b.provider = fleet{}, provider{}
	return b.startServer(ctx)
}

// stopServer does nothing when we have started none.
func (b *bench) stopServer() {
	if b.server != nil && b.server.stop() {
		b.logf("the server did not end within %s and was killed", stopGrace)
	}
}

// pid returns the process id of the server that is measured, or 0.
func (b *bench) pid() int {
	if b.server != nil {
		return b.server.pid()
	}
	return b.opts.pid
}

// measures reports whether the named figure is part of this run.
func (b *bench) measures(name string) bool {
	return slices.ContainsFunc(b.figures, func(f figure) bool { return f.name == name })
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, format+"\n", args...)
}

// remember notes a workspace under root for removal at the end.
func (b *bench) remember(names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.created = append(b.created, names...)
}

// forget takes workspaces back that are gone.
func (b *bench) forget(names []string) {
	gone := make(map[string]bool, len(names))
	for _, name := range names {
		gone[name] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.created = slices.DeleteFunc(b.created, func(name string) bool { return gone[name] })
}

// close removes what was created, unless it goes with the server's directory,
// and stops the servers that we started.
func (b *bench) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	var faults []error
	if b.target != nil && b.server == nil && !b.opts.keep {
		faults = append(faults, b.removeCreated(ctx))
	}
	b.stopServer()
	if b.host != nil {
		faults = append(faults, b.host.Stop())
	}
	if b.dir != "" {
		if b.opts.keep {
			b.logf("data of the servers is kept in %s", b.dir)
		} else {
			faults = append(faults, os.RemoveAll(b.dir))
		}
	}
	return errors.Join(faults...)
}
