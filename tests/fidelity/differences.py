"""Which items of the corpus may differ on a worker, and why. Everything else is the same."""

from __future__ import annotations

#: Item -> the row of docs/what-travels.md that says so.
DOCUMENTED: dict[str, str] = {
    "an_accessor_registered_in_the_notebook": "What a cell has registered in a library",
    "a_series_accessor": "What a cell has registered in a library",
    "a_seed_sequence": "A captured generator of random numbers",
    "structured_and_masked_arrays": "A view of an array",
    "memory_order": "A view of an array",
    "a_strided_array": "A view of an array",
    "a_reversed_array": "A view of an array",
    "a_broadcast_array": "A view of an array",
    "a_large_strided_array": "A view of an array",
    "a_generator": "A generator",
    "a_returned_generator": "A generator",
    "a_lock": "A lock, a connection, an open file",
    "a_file_open_for_reading": "A lock, a connection, an open file",
    "an_option_of_pandas": "Settings of a library or of the process",
    "an_attribute_that_the_notebook_has_set_in_a_module": "What the notebook has changed in a module",
    "a_counter_in_a_module": "What a call changes in a module",
    "what_another_module_registers": "What a module registers that the task does not use",
    "a_file_read_at_the_top_of_a_module": "A file that a module reads at its top",
    "a_name_put_together_at_run_time": "A name that is put together at run time",
    "an_exception_with_a_cause": "An exception as a value",
    "an_exception_with_keywords_only": "An exception as a value",
    "groups_are_split": "An exception as a value",
    "a_node_of_a_frozenset": "An object in a frozenset of its own",
    "a_name_that_is_nowhere": "A name that nothing has",
    "asks_the_kernel": "The kernel itself, widgets",
    "quits": "SystemExit, KeyboardInterrupt",
    "interrupts_itself": "SystemExit, KeyboardInterrupt",
    "reads_the_keyboard": "input()",
}
