// Command annex is the server: `annex serve` runs it, `annex version` says what it is.
package main

import (
	"fmt"
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/annex-dev/annex/cmd/annex/app"
)

func main() {
	if err := app.NewCommand().ExecuteContext(genericapiserver.SetupSignalContext()); err != nil {
		fmt.Fprintln(os.Stderr, "annex:", err)
		os.Exit(1)
	}
}
