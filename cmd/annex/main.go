// Command annex is the Annex program. `annex serve` runs the server, `annex check` checks an installation, `annex kubeconfig` writes
// a kubeconfig for a workspace, `annex sync` offers CustomResourceDefinitions of a cluster to workspaces, `annex init` writes the source code of
// an operator, and `annex version` prints the version.
package main

import (
	"fmt"
	"os"
	"strings"

	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/annex-dev/annex/cmd/annex/app"
)

func main() {
	if err := app.NewCommand().ExecuteContext(genericapiserver.SetupSignalContext()); err != nil {
		// Several faults are joined by line breaks. Print them on one line, which log readers expect.
		fmt.Fprintln(os.Stderr, "annex:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}
