// Command annex is the server: `annex serve` runs it, `annex check` looks at an installation,
// `annex kubeconfig` writes a kubeconfig for a workspace, `annex version` says what it is.
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
		// Several faults are joined by line breaks; what reads the log wants one line.
		fmt.Fprintln(os.Stderr, "annex:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}
