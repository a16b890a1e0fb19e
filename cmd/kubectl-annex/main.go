// Command kubectl-annex is a plugin of kubectl: `kubectl annex`. Links to it under the names kubectl-ws, kubectl-create-workspace
// and kubectl-kcp are the plugins of kcp, and kubectl_complete-annex completes its command lines.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	// Credentials of all kinds that a kubeconfig can name.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/cmd/kubectl-annex/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rest.SetDefaultWarningHandler(rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{Deduplicate: true}))
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	if err := app.New(os.Args[0], os.Args[1:], streams).ExecuteContext(ctx); err != nil {
		// Parts of an error can come from other users, so it must not control the terminal.
		fmt.Fprintln(os.Stderr, printers.EscapeTerminal("Error: "+err.Error()))
		os.Exit(1)
	}
}
