/* verify.h: lockstep-engine --verify-journal: every stored decision is made again from the samples
 * that its fact keeps, over the state that the facts before it left, and compared byte for byte
 * (DESIGN 1, rule 2).
 *
 * Reads only, beside a running engine too. A decision also reads rows of the generation that it
 * names; the one that is published is the one that can be had, so decisions under another one are
 * counted and not compared, and so are those that read figures which their fact does not keep. One
 * thread; allocates. */
#ifndef LS_ENGINE_VERIFY_H
#define LS_ENGINE_VERIFY_H

#include "engine/config.h"

/* eng_verify_journal prints what was found to stdout.
 *   config   finished; its shard's journal is read
 *   returns  the exit code: 0 every decision that can be made again is the same, 1 one is not, or
 *            the journal cannot be read (with a sentence on stderr) */
int eng_verify_journal(const struct eng_config *config);

#endif
