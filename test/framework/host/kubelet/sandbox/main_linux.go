package sandbox

import (
	"fmt"
	"os"
)

// The stages of this package are told apart by the name of the program, which
// nobody else sets.
const (
	stageNode       = "annex-sandbox-node"
	stageSupervisor = "annex-sandbox-supervisor"
	stageContainer  = "annex-sandbox-container"
	stageExec       = "annex-sandbox-exec"
)

// stageVariable is set for the stages until a container's own program begins.
const stageVariable = "ANNEX_SANDBOX_STAGE"

// Main returns at once in the process of a test. In a process that this package
// started from the same file it does that process's work and never returns.
func Main() {
	stages := map[string]func() error{
		stageNode: node, stageSupervisor: supervisor, stageContainer: container, stageExec: enter,
	}
	run, ok := stages[os.Args[0]]
	if !ok {
		return
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// missingMain reports that this process is a stage that ran past Main.
func missingMain() bool { return os.Getenv(stageVariable) != "" }
