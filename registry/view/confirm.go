package view

import "context"

// wait returns once the caches hold all that was acknowledged before the call, and a revision that they have reached. A value
// whose compilation begins later misses nothing up to that revision.
func (v *View[T]) wait(ctx context.Context) (uint64, error) {
	if v.config.Fresh == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.reached++
		return v.reached, nil
	}
	began := v.config.Clock.Now()
	revision, err := v.config.Fresh.Wait(ctx)
	if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reached = max(v.reached, revision)
	if began.After(v.confirmed) {
		v.confirmed = began
	}
	return revision, nil
}

// confirm returns nil when the caches were as new as etcd a short time ago, or are now.
func (v *View[T]) confirm(ctx context.Context) error {
	if v.config.Fresh == nil || v.config.DistrustAfter == 0 {
		return nil
	}
	v.mu.Lock()
	age := v.config.Clock.Since(v.confirmed)
	background := age >= v.config.ConfirmAfter && age < v.config.DistrustAfter && !v.confirming
	v.confirming = v.confirming || background
	v.mu.Unlock()
	if background {
		go func() {
			// If it fails, a Get waits for a confirmation once DistrustAfter is over, and gets the error.
			_, _ = v.wait(context.WithoutCancel(ctx))
			v.mu.Lock()
			defer v.mu.Unlock()
			v.confirming = false
		}()
	}
	if age < v.config.DistrustAfter {
		return nil
	}
	_, err := v.wait(ctx)
	return err
}
