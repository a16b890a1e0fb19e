package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// helpers are what the program does instead of measuring when its only argument
// is the name of one. A helper is a process of its own. A flood or an attack has
// the lowest priority: what it costs those who send it is no part of what is
// measured. A helper ends when its standard input does.
func helpers() map[string]func(io.Reader, io.Writer) error {
	return map[string]func(io.Reader, io.Writer) error{floodCommand: runFlood, attackCommand: runAttack, occupyCommand: runOccupy, operateCommand: runOperator}
}

// runHelper reports whether the arguments of the program name a helper, which
// has ended then.
func runHelper(args []string) (ran bool, err error) {
	if len(args) != 2 {
		return false, nil
	}
	run, ok := helpers()[args[1]]
	if !ok {
		return false, nil
	}
	return true, run(os.Stdin, os.Stdout)
}

// helper is a helper that runs.
type helper struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// startHelper starts a helper at the lowest priority.
func startHelper(ctx context.Context, name string) (*helper, error) {
	return startHelperAt(ctx, name, 19)
}

// startHelperAt starts a helper whose priority is that of this program, less so much.
func startHelperAt(ctx context.Context, name string, niceness int) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program: %w", err)
	}
	command := exec.CommandContext(ctx, "nice", "-n", strconv.Itoa(niceness), self, name)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connecting to the helper: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("connecting to the helper: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the helper: %w", err)
	}
	return &helper{command: command, in: in, out: json.NewDecoder(out)}, nil
}

// tell tells the helper something.
func (h *helper) tell(what any) error {
	if err := json.NewEncoder(h.in).Encode(what); err != nil {
		return fmt.Errorf("telling the helper what to do: %w", err)
	}
	return nil
}

// ask tells the helper something and waits for its answer.
func (h *helper) ask(what, answer any) error {
	if err := h.tell(what); err != nil {
		return err
	}
	if err := h.out.Decode(answer); err != nil {
		return fmt.Errorf("hearing of the helper: %w", err)
	}
	return nil
}

// end ends the helper. The last that it says is written to last, unless that is
// nil.
func (h *helper) end(last any) error {
	closed := h.in.Close()
	var heard error
	if last != nil {
		heard = h.out.Decode(last)
	}
	return errors.Join(closed, heard, h.command.Wait())
}
