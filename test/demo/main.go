package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/annex-dev/annex/test/framework/host/kubelet"
)

// startTimeout bounds everything until the shell.
const startTimeout = 10 * time.Minute

func main() {
	kubelet.Main() // first: in the process of a container it does not return
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "annex-demo-")
	if err != nil {
		return err
	}
	c := &cluster{dir: dir}
	defer func() {
		fmt.Println("Stopping the cluster.")
		err = errors.Join(err, c.stop(), os.RemoveAll(dir))
	}()
	if err := prepare(c); err != nil {
		return err
	}
	return use(c)
}

// use lets the user in, or checks what users do.
func use(c *cluster) error {
	// Ctrl-C is for what runs in the shell. A program that ignores signals would have children that do so, too.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	ctx, done := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer done()
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return c.shell(ctx)
	}
	fmt.Println("Standard input is no terminal, so the commands are checked.")
	return c.script(ctx, "try.sh", trying)
}

// prepare does everything until the user comes.
func prepare(c *cluster) error {
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	began := time.Now()
	fmt.Println("Starting a cluster: etcd, kube-apiserver, kube-controller-manager and a node. Everything takes about a minute.")
	if err := c.start(ctx); err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	fmt.Printf("After %s, the API server is at %s\nInstalling Annex by its chart.\n", time.Since(began).Round(time.Second), c.host.Config().Host)
	if err := c.script(ctx, "scene.sh", scene); err != nil {
		return fmt.Errorf("%w\n%s", err, c.node.Describe())
	}
	fmt.Printf("Everything is ready after %s.\n", time.Since(began).Round(time.Second))
	return nil
}
